// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

/// @title Registry of models
/// @notice A model is its commitments (what is proven) and its card (what people read). Immutable once registered.
interface IModels {
    /// @notice What is proven about a model. `modelId` is the record of `prover/SPEC.md` section 6 over the last three.
    struct Commitments {
        bytes32 programRoot;
        bytes32 weightsRoot;
        bytes32 tokenizerRoot;
    }

    /// @notice What people read about a model.
    struct Card {
        string name;
        string version;
        string license; // SPDX identifier
        string licenseUri;
        string weightsUri; // any mirror; nodes check every chunk
        bytes32 parent; // the model this one was made from, or 0
    }

    /// @notice A registered model.
    struct Model {
        address publisher;
        uint64 registeredAt; // seconds
        address program; // contract whose code is 0x00 || program || index
        uint32 context; // tokens
        uint32 vocabulary;
        Commitments commitments;
        Card card;
    }

    /// @notice A model was registered.
    event ModelRegistered(
        bytes32 indexed modelId,
        address indexed publisher,
        bytes32 indexed parent,
        address program,
        string name,
        string version,
        string license,
        string weightsUri
    );

    error ModelExists(bytes32 modelId);
    error UnknownModel(bytes32 modelId);
    error UnknownParent(bytes32 parent);
    /// @notice The program breaks a rule of `prover/SPEC.md` section 3: what is `found` in `what`, and what would do or its bound.
    /// Shapes of values are `kind << 32 | elements`, kinds f32 1, f16 2, quantised 3, maxima 4.
    /// @param entry The entry's number, head first; type(uint256).max for the header and the program as a whole.
    error BadProgram(uint256 entry, string what, uint256 found, uint256 expected);
    error ProgramTooLong(uint256 foundBytes, uint256 maximumBytes);
    error EmptyField(string field);

    /// @notice Registers a model; anyone may. Returns its id.
    /// @param program The program bytes of `prover/SPEC.md` section 3; stored as contract code and hashed here to `programRoot`.
    function register(bytes calldata program, bytes32 weightsRoot, bytes32 tokenizerRoot, Card calldata card)
        external
        returns (bytes32 modelId);

    /// @notice The version of the machine whose arithmetic this deployment proves.
    function machineVersion() external view returns (uint32);
    function exists(bytes32 modelId) external view returns (bool);
    function model(bytes32 modelId) external view returns (Model memory);
    /// @notice What judges of faults need of a model: where its program is kept (`libraries/Programs.sol`), and its roots.
    function commitmentsOf(bytes32 modelId)
        external
        view
        returns (address program, bytes32 weightsRoot, bytes32 tokenizerRoot);
    /// @notice As `commitmentsOf`, the program alone.
    function programCodeOf(bytes32 modelId) external view returns (address program);
    /// @notice As `commitmentsOf`, without the tokenizer.
    function weightsOf(bytes32 modelId) external view returns (address program, bytes32 weightsRoot);
    function count() external view returns (uint256);
    /// @notice Ids in order of registration.
    function ids(uint256 from, uint256 limit) external view returns (bytes32[] memory);
    /// @notice The program's bytes as read back from code.
    function programOf(bytes32 modelId) external view returns (bytes memory);
}
