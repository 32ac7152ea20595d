// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IModels} from "./interfaces/IModels.sol";
import {CodeStore} from "./libraries/CodeStore.sol";
import {Machine} from "./libraries/Machine.sol";
import {Pages} from "./libraries/Pages.sol";
import {ProgramCheck} from "./libraries/ProgramCheck.sol";
import {ProgramIndex} from "./libraries/ProgramIndex.sol";
import {Records} from "./libraries/Records.sol";

/// @title Models
/// @dev A program is checked as a whole when it is first registered: who reads it from its code checks nothing.
contract Models is IModels {
    /// @notice A program of 679 entries: with its index it is the longest that fits into a contract's code.
    uint256 public constant MAX_PROGRAM_BYTES = 21_824;

    /// @inheritdoc IModels
    uint32 public immutable machineVersion;

    mapping(bytes32 modelId => Model) private _models;
    bytes32[] private _ids;
    /// @dev Models with equal programs (a fine-tune and its parent) share the stored code.
    mapping(bytes32 programRoot => address) private _programs;

    constructor(uint32 machineVersion_) {
        machineVersion = machineVersion_;
    }

    /// @inheritdoc IModels
    function register(bytes calldata program, bytes32 weightsRoot, bytes32 tokenizerRoot, Card calldata card)
        external
        returns (bytes32 modelId)
    {
        if (bytes(card.name).length == 0) revert EmptyField("name");
        if (bytes(card.version).length == 0) revert EmptyField("version");
        if (bytes(card.license).length == 0) revert EmptyField("license");
        if (weightsRoot == 0) revert EmptyField("weightsRoot");
        if (tokenizerRoot == 0) revert EmptyField("tokenizerRoot");
        if (card.parent != 0 && !exists(card.parent)) revert UnknownParent(card.parent);
        if (program.length > MAX_PROGRAM_BYTES) revert ProgramTooLong(program.length, MAX_PROGRAM_BYTES);
        bytes32 programRoot = sha256(program);
        modelId = Records.model(machineVersion, programRoot, weightsRoot, tokenizerRoot);
        if (exists(modelId)) revert ModelExists(modelId);
        address store = _programs[programRoot];
        if (store == address(0)) {
            store = CodeStore.write(bytes.concat(program, ProgramCheck.check(program)));
            _programs[programRoot] = store;
        }

        _store(modelId, store, program, Commitments(programRoot, weightsRoot, tokenizerRoot), card);
    }

    /// @inheritdoc IModels
    function exists(bytes32 modelId) public view returns (bool) {
        return _models[modelId].program != address(0);
    }

    /// @inheritdoc IModels
    function model(bytes32 modelId) external view returns (Model memory) {
        if (!exists(modelId)) revert UnknownModel(modelId);
        return _models[modelId];
    }

    /// @inheritdoc IModels
    function commitmentsOf(bytes32 modelId)
        external
        view
        returns (address program, bytes32 weightsRoot, bytes32 tokenizerRoot)
    {
        (program, weightsRoot) = weightsOf(modelId);
        tokenizerRoot = _models[modelId].commitments.tokenizerRoot;
    }

    /// @inheritdoc IModels
    function programCodeOf(bytes32 modelId) public view returns (address program) {
        program = _models[modelId].program;
        if (program == address(0)) revert UnknownModel(modelId);
    }

    /// @inheritdoc IModels
    function weightsOf(bytes32 modelId) public view returns (address program, bytes32 weightsRoot) {
        (program, weightsRoot) = (programCodeOf(modelId), _models[modelId].commitments.weightsRoot);
    }

    /// @inheritdoc IModels
    function count() external view returns (uint256) {
        return _ids.length;
    }

    /// @inheritdoc IModels
    function ids(uint256 from, uint256 limit) external view returns (bytes32[] memory page) {
        page = new bytes32[](Pages.length(_ids.length, from, limit));
        for (uint256 i = 0; i < page.length; ++i) {
            page[i] = _ids[from + i];
        }
    }

    /// @inheritdoc IModels
    function programOf(bytes32 modelId) external view returns (bytes memory) {
        if (!exists(modelId)) revert UnknownModel(modelId);
        address store = _models[modelId].program;
        // Behind n entries stands an index of 4 n + 12 bytes.
        uint256 entries =
            (CodeStore.size(store) - Machine.HEADER_BYTES - ProgramIndex.length(0)) / (Machine.ENTRY_BYTES + 4);
        return CodeStore.read(store, Machine.HEADER_BYTES + entries * Machine.ENTRY_BYTES);
    }

    function _store(
        bytes32 modelId,
        address store,
        bytes calldata program,
        Commitments memory commitments,
        Card calldata card
    ) private {
        Model storage entry = _models[modelId];
        entry.publisher = msg.sender;
        entry.registeredAt = uint64(block.timestamp);
        entry.program = store;
        entry.context = uint32(bytes4(program[4:8]));
        entry.vocabulary = uint32(bytes4(program[8:12]));
        entry.commitments = commitments;
        entry.card = card;
        _ids.push(modelId);
        _announce(modelId, store, card);
    }

    function _announce(bytes32 modelId, address store, Card calldata card) private {
        emit ModelRegistered(
            modelId, msg.sender, card.parent, store, card.name, card.version, card.license, card.weightsUri
        );
    }
}
