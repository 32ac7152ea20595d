//! Calls of the contracts of a dispute.
#![allow(missing_docs, clippy::too_many_arguments)] // the macro's; the Solidity interfaces document them

use alloy_sol_types::sol;

sol! {
    #[derive(Debug, PartialEq, Eq)]
    struct Run {
        uint32 nPrompt;
        uint32 nTokens;
        uint8 finish;
        bytes32 tokensRoot;
        bytes32 offsetsRoot;
        bytes32 textRoot;
        uint64 textLength;
        int64 score;
        bool greedy;
    }

    #[derive(Debug, PartialEq, Eq)]
    struct Job {
        uint256 inputId;
        bytes32 scoreRoot;
        Run[] runs;
        bytes32[] traceRoots;
    }

    #[derive(Debug, Default, PartialEq, Eq)]
    struct Record {
        uint256 position;
        bytes32 parentHash;
        bytes32 value;
        uint256 times;
        uint256 funds;
        uint256 shape;
        bytes32 job;
    }

    #[derive(Debug, PartialEq, Eq)]
    struct Verdict {
        Record culprit;
        uint256 rewardWei;
        uint256 senderWei;
        address winner;
        uint64 declaredAt;
        uint64 fellAt;
    }

    struct Card {
        string name;
        string version;
        string license;
        string licenseUri;
        string weightsUri;
        bytes32 parent;
    }

    struct Params {
        uint8 kind;
        uint16 nRuns;
        uint32 maxNewTokens;
        uint32 maxTotalTokens;
        uint32 temperatureMilli;
        uint32 topK;
        uint32 topPPpm;
        uint32 minPPpm;
    }

    function register(bytes calldata program, bytes32 weightsRoot, bytes32 tokenizerRoot, Card calldata card) external returns (bytes32 modelId);
    function submit(bytes32 modelId, Params calldata params, bytes calldata payload, address recipient) external payable returns (uint256 inputId);
    function seal(bytes calldata header, uint256 limit) external returns (uint256 sealedInputs);
    function currentEpoch() external view returns (uint64);
    function epochBounds(uint64 epoch) external view returns (uint256 startBlock, uint256 endBlock);
    function accumulatorAt(uint64 epoch) external view returns (bytes32);
    function claim(uint64 epoch, bytes32 modelId, bytes32 accumulator, bytes32[] calldata digests) external payable returns (bytes32 claimId);
    function open(bytes32 claimId, Record calldata parent, uint256 position, bytes32 value, bytes32[] calldata path, uint16 line) external payable returns (bytes32 key);
    function openInJob(bytes32 claimId, Record calldata parent, Job calldata job, uint256 position, bytes32 value, bytes32[] calldata path, uint16 line) external payable returns (bytes32 key);
    function revealDigests(bytes32 claimId, Record calldata record, bytes32[] calldata digests) external;
    function revealLeaves(bytes32 claimId, Record calldata record, bytes[] calldata leaves) external;
    function revealJob(bytes32 claimId, Record calldata record, Job calldata job, bytes32[] calldata digests, bytes calldata signature) external;
    function revealPosted(bytes32 claimId, Record calldata record, bytes calldata contents, bytes calldata signature) external;
    function prove(bytes32 claimId, Record[] calldata path, Job calldata job, uint8 fault, bytes calldata witness, bytes32 salt) external;
    function declare(bytes32 declaration) external;
    function redeem(bytes32 claimId, Verdict calldata verdict, Record calldata own, bytes32 salt) external;
    function settle(bytes32 claimId, Verdict calldata verdict) external;
    function withdraw(address payable to) external;
    function quoteOpen(bytes32 claimId, Record calldata parent, uint256 position) external view returns (uint256 gas_, uint256 extraWei);
    function quoteOpenInJob(bytes32 claimId, Record calldata parent, Job calldata job, uint256 position) external view returns (uint256 gas_, uint256 extraWei);
    function declarationOf(bytes32 claimId, uint256 position, address challenger, bytes32 salt) external view returns (bytes32);
    function balanceOf(address account) external view returns (uint256 wei_);

    function expire(bytes32 claimId, Record calldata record) external;
    function reclaim(bytes32 claimId, Record calldata record) external;
    function finalise(bytes32 claimId) external;
    function resolveRival(bytes32 claimId) external;
    function finalClaim(uint64 epoch, bytes32 modelId) external view returns (bytes32);
    function factsOf(bytes32 claimId) external view returns (uint8 status, uint64 windowEnd, uint64 epoch, address proposer, bytes32 modelId, bytes32 root);
    struct State {
        uint64 windowEnd;
        uint64 aliveUntil;
        uint32 pending;
        bool fallen;
    }

    function stateOf(bytes32 claimId) external view returns (State memory);
    function slotOf(bytes32 line) external view returns (bytes32);

    error LineInUse(bytes32 line);
    error AlreadyRevealed(bytes32 key);
    error BadContents(bytes32 found, bytes32 expected);
    error BadWitness(string what);
    error ChallengersOutOfTime(uint256 usedSeconds, uint256 budgetSeconds);
    error LaneIsFinal(bytes32 finalClaim);
    error NoFault(uint8 fault);
    error NotAuthorised(address caller);
    error NotEnoughPaid(uint256 sentWei, uint256 expectedWei);
    error NotFinalYet(bytes32 claimId, uint64 windowEnd, uint256 nowSeconds);
    error PastFinality(bytes32 claimId, uint64 aliveUntil, uint256 nowSeconds);
    error ProposerInTime(uint256 usedSeconds, uint256 budgetSeconds);
    error ProposerOutOfTime(uint256 usedSeconds, uint256 budgetSeconds);
    error WrongRecord(bytes32 line, bytes32 found, bytes32 expected);

    event InputSealed(uint256 indexed inputId, uint64 indexed epoch, bytes32 indexed modelId, uint32 laneIndex, bytes32 seed, bytes32 accumulator);
    event Redeemed(bytes32 indexed claimId, address indexed winner, Verdict verdict);
    event Expired(bytes32 indexed claimId, bytes32 indexed key, address indexed sender, Verdict verdict);
    event Opened(bytes32 indexed claimId, bytes32 indexed key, address indexed opener, Record record);
    event Revealed(bytes32 indexed claimId, bytes32 indexed key, address indexed revealer, Record record, bytes contents);
    event Proven(bytes32 indexed claimId, bytes32 indexed key, address indexed prover, uint8 fault, Verdict verdict);
}
