// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IClaims} from "./IClaims.sol";
import {IDisputes} from "./IDisputes.sol";
import {IFaults} from "./IFaults.sol";
import {IInbox} from "./IInbox.sol";
import {INodeRules} from "./INodeRules.sol";

/// @title Challenges: open the box
/// @notice Claims are trees of closed nodes (`prover/SPEC.md` section 10). Anyone pays to have a node opened; the proposer is paid if its claim was right; anyone proves
/// a fault; nodes not revealed in time expire. Contents are in events, or in the data of transactions.
///
/// Who disputes goes down from the claim in a **line**: each opening takes the place of the one above it, and the chain keeps one slot a line: the hash of its
/// lowest node's record, which callers bring. Every account has as many lines as it starts; nobody moves another's. What one line lost no other needs.
/// Money that comes free is kept as balances to withdraw.
interface IChallenges is IDisputes {
    /// @notice A node's record, packed (`libraries/Nodes.sol`). A line is `keccak256(abi.encode(claimId, owner u160 | number u16))`, a node's key
    /// `keccak256(abi.encode(line, position))`, a record's hash `keccak256(abi.encode(claimId, record))`.
    struct Record {
        uint256 position; // section 10.2
        bytes32 parentHash; // of the parent's record as it was revealed; 0 when the parent is the claim itself
        bytes32 value; // tree nodes: the digest, from the opening on; job: its digest, after the reveal keccak256(abi.encode(Job)); posted: 0, then the contents' digest (section 10.2)
        uint256 times; // from the most significant byte: opener address | openedAt u40, seconds | revealedAt u40, 0 while pending | the line's number u16
        uint256 funds; // proposerSeconds u32, with this node's once revealed | challengerSeconds u32 | prepaidWei u72, what is left in the line | spentWei u72, what its reveals take if the claim is right | windowEnd u40, of the claim, seconds | flags u8: 1 the line has a deposit, 2 the node is counted in the claim's state
        uint256 shape; // what the children's shapes follow from, below; job: what the proposer is paid for its traces, wei, until it is revealed
        bytes32 job; // keccak256(abi.encode(Job)) of the revealed job that this is or is under; 0 above
    }

    // Shape, from the most significant byte: 11 zero bytes | rowDepth u8 | tail u32 | count u64 | nTokens u32 | nPrompt u32.
    //   claim: count = leaves (jobs) of the claim tree.
    //   tokens, offsets, text: count = leaves. trace, and a revealed job with one: count = N, tail = leaves of the tail steps, rowDepth as in section 10.1.
    //   posted contents: count = their length in bytes (malformed: the most); totals, tile: rowDepth = the operation's code;
    //   selection, group: tail = the vocabulary size.
    //   nTokens and nPrompt are the run's in all but claim and job nodes.

    /// @notice A claim that fell by a node, until it is settled.
    struct Verdict {
        Record culprit; // the node that showed the fault, or was not revealed
        uint256 rewardWei; // what is left for the line's owner, or for a declaration
        uint256 senderWei; // what the line's owner is still owed for having sent the proof, or the expiry
        address winner; // whose declaration is the earliest so far, or 0
        uint64 declaredAt; // its seconds; 0 without one
        uint64 fellAt; // seconds
    }

    /// @notice What the contract keeps of a challenged claim.
    struct State {
        uint64 windowEnd; // seconds
        uint64 aliveUntil; // seconds until which the claim can't be final even if nothing is pending
        uint32 pending; // counted nodes that are opened and not revealed
        bool fallen;
    }

    event Opened(bytes32 indexed claimId, bytes32 indexed key, address indexed opener, Record record);
    /// @param contents Digests or leaves (abi.encode(bytes32[]) or abi.encode(bytes[])), abi.encode(Job, bytes32[] digests), or the posted bytes. Empty if an account
    /// without code called by itself: then the data of the transaction has them.
    event Revealed(
        bytes32 indexed claimId, bytes32 indexed key, address indexed revealer, Record record, bytes contents
    );
    /// @notice The claim fell. `Verdict` is what `redeem` and `settle` take.
    event Proven(bytes32 indexed claimId, bytes32 indexed key, address indexed prover, uint8 fault, Verdict verdict);
    event Expired(bytes32 indexed claimId, bytes32 indexed key, address indexed sender, Verdict verdict);
    event Declared(bytes32 indexed declaration, address indexed sender);
    event Redeemed(bytes32 indexed claimId, address indexed winner, Verdict verdict);
    event Rewarded(bytes32 indexed claimId, address indexed account, uint256 amountWei);
    event Settled(bytes32 indexed claimId, uint256 refundedWei, uint256 rewardedWei, uint256 burnedWei);
    event Reclaimed(
        bytes32 indexed claimId, bytes32 indexed key, address indexed opener, uint256 toOpenerWei, uint256 toProposerWei
    );
    event Withdrawn(address indexed account, address indexed to, uint256 amountWei);

    /// @notice The claim is not standing, or its lane is final.
    error NotLive(bytes32 claimId);
    /// @notice Nothing was pending and the claim's time is over: only `finalise` is left.
    error PastFinality(bytes32 claimId, uint64 aliveUntil, uint256 nowSeconds);
    /// @notice No such node, or another record of it counts.
    error WrongRecord(bytes32 line, bytes32 found, bytes32 expected);
    /// @notice The opener has a line of that number that is elsewhere.
    error LineInUse(bytes32 line);
    error NotRevealed(bytes32 key);
    error AlreadyRevealed(bytes32 key);
    /// @notice The position can't be: fields that must be zero, a kind that the parent has no child of, an index or height outside the shape.
    error BadPosition(string field, uint256 found, uint256 expected);
    /// @notice Nothing belongs there.
    error AbsentNode(uint256 position);
    error BadPath(bytes32 found, bytes32 expected);
    error BadLength(uint256 found, uint256 expected);
    error BadContents(bytes32 found, bytes32 expected);
    error BadSignature(address proposer);
    error NotEnoughPaid(uint256 sentWei, uint256 expectedWei);
    error TooMuchPaid(uint256 sentWei);
    error ChallengersOutOfTime(uint256 usedSeconds, uint256 budgetSeconds);
    error ProposerOutOfTime(uint256 usedSeconds, uint256 budgetSeconds);
    error ProposerInTime(uint256 usedSeconds, uint256 budgetSeconds);
    error NoFault(uint8 fault);
    error AlreadyDeclared(bytes32 declaration);
    error BadDeclaration(bytes32 declaration, uint256 declaredAt);
    error NotEarlier(uint256 foundSeconds, uint256 expectedSeconds);
    error TooEarly(uint256 nowSeconds, uint256 expectedSeconds);
    error TooLate(uint256 nowSeconds, uint256 expectedSeconds);
    /// @notice Nothing can be reclaimed of a claim that isn't decided.
    error NotDecided(bytes32 claimId);
    error NotAuthorised(address caller);
    error BadConfiguration(string field, uint256 found);
    error ZeroReceiver();
    error NothingToWithdraw(address account);
    error TransferFailed(address to, uint256 amountWei);

    /// @notice Opens a job or a node of the claim tree (`parent` all zero: under the claim itself), a node of a run's tree under one of the same tree, or
    /// posted contents under another parent than the job. `msg.value` is the prepayment, see `quoteOpen`, of which a line that goes on has what is left of
    /// its earlier ones; what is not used comes back (`reclaim`, `settle`).
    /// @param parent The parent's record, revealed, the lowest of its line.
    /// @param value The node's digest; 0 for posted contents.
    /// @param path The siblings from the node upwards to the parent's digest; empty for posted contents.
    /// @param line The number of the caller's line that the node will be the lowest of: the parent's, if the parent is the caller's, or a new one. A new line leaves
    /// the parent where it is.
    function open(
        bytes32 claimId,
        Record calldata parent,
        uint256 position,
        bytes32 value,
        bytes32[] calldata path,
        uint16 line
    ) external payable returns (bytes32 key);
    /// @notice Opens a child of a revealed job: the root of a run's tree, of its trace a node whose digest came with the job, or posted contents.
    function openInJob(
        bytes32 claimId,
        Record calldata parent,
        IFaults.Job calldata job,
        uint256 position,
        bytes32 value,
        bytes32[] calldata path,
        uint16 line
    ) external payable returns (bytes32 key);

    /// @notice Reveals a high node of a tree by the digests that section 10.2 says, at most OPEN_LEVELS levels below it; absent ones are left out. Anyone may.
    function revealDigests(bytes32 claimId, Record calldata record, bytes32[] calldata digests) external;
    /// @notice Reveals a node of at most CONTENT_LEVELS levels by the bytes of its leaves; absent ones are left out. Anyone may.
    function revealLeaves(bytes32 claimId, Record calldata record, bytes[] calldata leaves) external;
    /// @notice Reveals a job. A run without trace has the trace root 0.
    /// @param digests Of every run with a trace, one after the other, the digests below its trace root that section 10.2 says.
    /// @param signature The proposer's, see `revealHash`; empty when the caller is the proposer or no run has a trace.
    function revealJob(
        bytes32 claimId,
        Record calldata record,
        IFaults.Job calldata job,
        bytes32[] calldata digests,
        bytes calldata signature
    ) external;
    /// @notice Reveals posted contents.
    /// @param signature The proposer's, see `revealHash`; empty when the caller is the proposer.
    function revealPosted(bytes32 claimId, Record calldata record, bytes calldata contents, bytes calldata signature)
        external;

    /// @notice Proves a fault; the claim falls. The sender gets its gas and a tenth of it.
    /// @param path The node, revealed, the lowest of its line; and its parent, if the fault is about both.
    /// @param job The job's contents.
    /// @param witness As the fault's family reads it (`IFaults`).
    /// @param salt Of the declaration of this node by the line's owner, who then is the caller; or 0 without one.
    function prove(
        bytes32 claimId,
        Record[] calldata path,
        IFaults.Job calldata job,
        uint8 fault,
        bytes calldata witness,
        bytes32 salt
    ) external;
    /// @notice Shows that a node was not revealed in the proposer's time; the claim falls. The sender gets its gas and a tenth of it.
    function expire(bytes32 claimId, Record calldata record) external;

    /// @notice Keeps the time of a declaration, see `declarationOf`. Optional: without any the reward is the line's owner's.
    function declare(bytes32 declaration) external;
    /// @notice Names a declaration of a fallen claim's culprit that was made before the claim fell, after the challenger had the node revealed (or opened, if the
    /// culprit wasn't revealed) in a line of its own, and earlier than the one that counts so far; until `declarationSeconds` after the fall.
    /// @param own The record of the node at the culprit's position in the challenger's line, its lowest; the culprit itself if the line is its own.
    function redeem(bytes32 claimId, Verdict calldata verdict, Record calldata own, bytes32 salt) external;
    /// @notice Ends a fallen claim, `declarationSeconds` after it: gives all that its owner paid for the culprit's line back, pays the reward, burns the rest. Anyone may, once.
    /// What the caller gets is sent to it; others have it on their balance.
    function settle(bytes32 claimId, Verdict calldata verdict) external;
    /// @notice Of a decided claim: what was paid for a line. Of a wrong one (fallen; another one of its lane final) all of it is its owner's; of one that fell only the
    /// owner may. Of a right one (final, or equal to the final one) what its reveals took, and the deposit of a late line, are the proposer's, the rest the owner's,
    /// and anyone may; if the proposer does, the gas for it is of the rest.
    function reclaim(bytes32 claimId, Record calldata record) external;
    /// @notice Pays the caller's balance out.
    function withdraw(address payable to) external;

    /// @notice What opening takes: `gas_ * 10 * block.basefee + extraWei` (the job's price twice, the deposit of a late opening). Reverts like `open`
    /// for a position that can't be opened; says nothing about the claim.
    function quoteOpen(bytes32 claimId, Record calldata parent, uint256 position)
        external
        view
        returns (uint256 gas_, uint256 extraWei);
    function quoteOpenInJob(bytes32 claimId, Record calldata parent, IFaults.Job calldata job, uint256 position)
        external
        view
        returns (uint256 gas_, uint256 extraWei);

    /// @notice EIP-712 hash that the proposer signs for `revealJob` and `revealPosted`: of Reveal(bytes32 claimId,bytes32 line,uint256 position,bytes32
    /// contentsHash) in the domain ("Sworn Challenges", "1", chain id, this contract).
    /// @param contentsHash The record's value after the reveal.
    function revealHash(bytes32 claimId, bytes32 line, uint256 position, bytes32 contentsHash)
        external
        view
        returns (bytes32);
    /// @notice `sha256(abi.encode("sworn/declaration/1", chain id, this contract, claimId, position, challenger, salt))`, the tag as bytes32.
    function declarationOf(bytes32 claimId, uint256 position, address challenger, bytes32 salt)
        external
        view
        returns (bytes32);
    /// @notice Seconds at which a declaration was made, or 0.
    function declaredAt(bytes32 declaration) external view returns (uint256);
    function lineOf(bytes32 claimId, address owner, uint16 number) external pure returns (bytes32);
    /// @notice The hash of the record of a line's lowest node; 0: no such line; of the culprit of a fallen claim keccak256(abi.encode(claimId, verdict)); 0 again: paid out.
    function slotOf(bytes32 line) external view returns (bytes32);
    function stateOf(bytes32 claimId) external view returns (State memory);
    function balanceOf(address account) external view returns (uint256 wei_);

    function claims() external view returns (IClaims);
    function inbox() external view returns (IInbox);
    function faults() external view returns (IFaults);
    /// @notice The rules where nodes can be opened; created with this contract.
    function rules() external view returns (INodeRules);
    /// @notice C of section 10.6, seconds.
    function budgetSeconds() external view returns (uint64);
    /// @notice g of section 10.6, seconds.
    function graceSeconds() external view returns (uint64);
    /// @notice How long after a claim's fall declarations can be named; it is settled afterwards.
    function declarationSeconds() external view returns (uint64);
}
