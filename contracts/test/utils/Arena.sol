// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IChallenges} from "../../src/interfaces/IChallenges.sol";
import {IDisputes} from "../../src/interfaces/IDisputes.sol";
import {IFaults} from "../../src/interfaces/IFaults.sol";
import {IModels} from "../../src/interfaces/IModels.sol";
import {IVouchers} from "../../src/interfaces/IVouchers.sol";
import {Machine} from "../../src/libraries/Machine.sol";
import {Positions} from "../../src/libraries/Positions.sol";
import {Deployment} from "./Deployment.sol";
import {Forest} from "./Forest.sol";
import {Naive} from "./Naive.sol";
import {Programs} from "./Programs.sol";
import {Vm} from "./Vm.sol";

/// @dev Judges as it is told, if the case is the one that it was told to expect.
contract TestFaults is IFaults {
    bool public guilty;
    bytes32 public expected;

    function setGuilty(bool guilty_) external {
        guilty = guilty_;
    }

    function expect(bytes32 hash) external {
        expected = hash;
    }

    function isFault(Case calldata c, uint8 fault, bytes calldata witness) external view returns (bool) {
        if (keccak256(witness) == keccak256("revert")) revert BadWitness("as told");
        if (expected != 0) {
            require(keccak256(abi.encode(c, fault, witness)) == expected, "another case");
            require(keccak256(msg.data) == keccak256(abi.encodeCall(this.isFault, (c, fault, witness))), "other data");
        }
        return guilty;
    }
}

/// @title A deployment whose claims can be challenged
/// @notice Input 0 is claimed with a job of three runs, all of whose trees can be opened: a long one, one of a malformed payload, one without text.
abstract contract Arena is Deployment {
    using Forest for bytes32[][];

    uint64 internal constant BUDGET = 40;
    uint64 internal constant GRACE = 40;
    uint64 internal constant NAMING = 20;
    uint256 internal constant BASE_FEE = 7 gwei;
    uint32 internal constant N_PROMPT = 70;
    uint32 internal constant N_TOKENS = 300;
    uint256 internal constant TEXT_LENGTH = 1000;
    // Of the program below.
    uint256 internal constant ROW_DEPTH = 5;
    uint256 internal constant ROW_LEAVES = 27;
    uint256 internal constant TAIL_LEAVES = 8;
    uint256 internal constant TRACE_DEPTH = 9 + ROW_DEPTH;
    // Below that job's trace roots: a quarter of 64 digests a run, 4 levels.
    uint256 internal constant JOB_LEVELS = 4;
    uint256 internal constant TRACE_TOP = TRACE_DEPTH - JOB_LEVELS;
    // Of run 2: as many rows as its prompt has tokens.
    uint256 internal constant SHORT_DEPTH = 7 + ROW_DEPTH;
    uint256 internal constant CONTENT_LEVELS = Machine.CONTENT_LEVELS;
    uint256 internal constant OPEN_LEVELS = Machine.OPEN_LEVELS;

    uint8 internal constant CLAIM = 1;
    uint8 internal constant JOB = 2;
    uint8 internal constant TOKENS = 3;
    uint8 internal constant OFFSETS = 4;
    uint8 internal constant TEXT = 5;
    uint8 internal constant TRACE = 6;
    uint8 internal constant TOTALS = 7;
    uint8 internal constant TILE = 8;
    uint8 internal constant SELECTION = 9;
    uint8 internal constant GROUP = 10;
    uint8 internal constant PROMPT = 11;
    uint8 internal constant STARTS = 12;
    uint8 internal constant MALFORMED = 13;

    IChallenges internal challenges;
    TestFaults internal judge;
    address internal asker;
    address internal proposer;
    address internal challenger;
    address internal attacker;
    bytes private _jobData;
    bytes private _digestData;
    uint16 private _lines; // that were begun

    function makeDisputes(address claims_) internal virtual override returns (IDisputes) {
        challenges = IChallenges(make("Challenges", abi.encode(claims_, inbox, judge, BUDGET, GRACE, NAMING)));
        return challenges;
    }

    function deployArena() internal {
        judge = new TestFaults();
        deployWith(IDisputes(address(0)));
        vm.fee(BASE_FEE);
        asker = account("asker");
        proposer = account("proposer");
        challenger = account("challenger");
        attacker = account("attacker");
        address code = account("program");
        vm.etch(code, _program());
        vm.mockCall(address(models), abi.encodeCall(IModels.programCodeOf, (modelId)), abi.encode(code));
    }

    /// @dev Submits, seals and claims; `lanes` inputs, of which the last has the job that can be opened.
    function claimed(uint32 lanes) internal returns (bytes32 claimId) {
        for (uint256 i = 0; i < lanes; ++i) {
            submitFrom(asker, modelId, 3, asker);
        }
        sealAll();
        endEpoch(0);
        claimId = claimDigests(proposer, 0, modelId, topDigests(jobsOf(lanes)));
    }

    /// @dev The claim tree's leaves.
    function jobsOf(uint32 lanes) internal returns (bytes32[] memory jobs) {
        jobs = new bytes32[](lanes);
        for (uint256 i = 0; i + 1 < lanes; ++i) {
            jobs[i] = keccak256(abi.encode("job", i));
        }
        jobs[lanes - 1] = recordOf(job(lanes - 1));
    }

    function recordOf(IFaults.Job memory job_) internal pure returns (bytes32) {
        bytes32[] memory runs = new bytes32[](job_.runs.length);
        for (uint256 i = 0; i < runs.length; ++i) {
            runs[i] = runRecord(job_.runs[i]);
        }
        return
            sha256(
                abi.encodePacked(bytes32("sworn/job/1"), job_.inputId, runs.length, Naive.root(runs), job_.scoreRoot)
            );
    }

    function job(uint256 inputId) internal virtual returns (IFaults.Job memory made) {
        if (_jobData.length == 0) _makeJob();
        made = abi.decode(_jobData, (IFaults.Job));
        made.inputId = inputId;
    }

    /// @dev Of the job's traces, as they are published with it.
    function jobDigests() internal returns (bytes32[] memory) {
        if (_digestData.length == 0) _makeJob();
        return abi.decode(_digestData, (bytes32[]));
    }

    function _makeJob() private {
        bytes32[][] memory long = traceForest();
        bytes32[][] memory short = shortForest();
        _jobData = abi.encode(_newJob(long.root(), short.root()));
        bytes32[] memory first = digestsOf(TRACE, long, TRACE_DEPTH, 0, JOB_LEVELS);
        bytes32[] memory digests = new bytes32[](first.length + 9);
        for (uint256 i = 0; i < first.length; ++i) {
            digests[i] = first[i];
        }
        // 70 rows by 8.
        for (uint256 i = 0; i < 9; ++i) {
            digests[first.length + i] = short[SHORT_DEPTH - JOB_LEVELS][i];
        }
        _digestData = abi.encode(digests);
    }

    function _newJob(bytes32 traceRoot, bytes32 shortRoot) private pure returns (IFaults.Job memory made) {
        made.runs = new IVouchers.Run[](3);
        made.traceRoots = new bytes32[](3);
        made.runs[0] = IVouchers.Run({
            nPrompt: N_PROMPT,
            nTokens: N_TOKENS,
            finish: 0,
            tokensRoot: forestOf(TOKENS).root(),
            offsetsRoot: forestOf(OFFSETS).root(),
            textRoot: forestOf(TEXT).root(),
            textLength: uint64(TEXT_LENGTH),
            score: 0,
            greedy: false
        });
        made.traceRoots[0] = traceRoot;
        made.runs[1] = IVouchers.Run(1, 1, 2, sha256(leafOf(TOKENS, 0)), 0, 0, 0, 0, false);
        made.runs[2] = IVouchers.Run(N_PROMPT, N_PROMPT + 1, 1, keccak256("t"), keccak256("o"), 0, 0, 0, false);
        made.traceRoots[2] = shortRoot;
    }

    // Trees of run 0

    function leafOf(uint8 kind, uint256 index) internal pure returns (bytes memory) {
        return bytes.concat(keccak256(abi.encode("leaf", kind, index)), new bytes(224));
    }

    function isLeaf(uint8 kind, uint256 index) internal pure returns (bool) {
        if (kind == TOKENS) return index < (N_TOKENS + 63) / 64;
        if (kind == OFFSETS) return index < (N_TOKENS - N_PROMPT + 63) / 64;
        if (kind == TEXT) return index < (TEXT_LENGTH + 255) / 256;
        uint256 row = index >> ROW_DEPTH;
        uint256 leaf = index % (1 << ROW_DEPTH);
        if (row >= N_TOKENS - 1) return false;
        return leaf < ROW_LEAVES - TAIL_LEAVES || leaf < ROW_LEAVES && row >= N_PROMPT - 1;
    }

    function forestOf(uint8 kind) internal pure returns (bytes32[][] memory) {
        if (kind == TRACE) return traceForest();
        uint256 count = 0;
        while (isLeaf(kind, count)) ++count;
        bytes32[] memory leaves = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            leaves[i] = sha256(leafOf(kind, i));
        }
        return Forest.grow(leaves);
    }

    function traceForest() internal pure returns (bytes32[][] memory) {
        bytes32[] memory leaves = new bytes32[](1 << TRACE_DEPTH);
        for (uint256 i = 0; i < leaves.length; ++i) {
            if (isLeaf(TRACE, i)) leaves[i] = sha256(leafOf(TRACE, i));
        }
        return Forest.grow(leaves);
    }

    /// @dev Run 2's trace: the same leaves, of fewer rows.
    function shortForest() internal pure returns (bytes32[][] memory) {
        bytes32[] memory leaves = new bytes32[](1 << SHORT_DEPTH);
        for (uint256 i = 0; i < uint256(N_PROMPT) << ROW_DEPTH; ++i) {
            if (isLeaf(TRACE, i)) leaves[i] = sha256(leafOf(TRACE, i));
        }
        return Forest.grow(leaves);
    }

    /// @dev How many levels a node's opening goes down: as few openings as possible, of about the same depth.
    function levelsOf(uint8 kind, uint256 height) internal pure returns (uint256) {
        uint256 rest = kind == CLAIM ? height : height > CONTENT_LEVELS ? height - CONTENT_LEVELS : 0;
        uint256 openings = 1;
        while (openings * OPEN_LEVELS < rest) ++openings;
        uint256 levels = 0;
        while (levels * openings < rest) ++levels;
        return levels;
    }

    /// @dev Whether a leaf belongs below a node.
    function isPresent(uint8 kind, uint256 height, uint256 index) internal pure returns (bool) {
        for (uint256 i = index << height; i < (index + 1) << height; ++i) {
            if (isLeaf(kind, i)) return true;
        }
        return false;
    }

    /// @dev What a reveal of a high node gives: the digests of what is present below it.
    function digestsOf(uint8 kind, bytes32[][] memory forest, uint256 height, uint256 index, uint256 levels)
        internal
        pure
        returns (bytes32[] memory digests)
    {
        digests = new bytes32[](1 << levels);
        uint256 count = 0;
        for (uint256 i = index << levels; i < (index + 1) << levels; ++i) {
            if (isPresent(kind, height - levels, i)) digests[count++] = forest[height - levels][i];
        }
        assembly ("memory-safe") {
            mstore(digests, count)
        }
    }

    function leavesOf(uint8 kind, uint256 height, uint256 index) internal pure returns (bytes[] memory leaves) {
        leaves = new bytes[](1 << height);
        uint256 count = 0;
        for (uint256 i = index << height; i < (index + 1) << height; ++i) {
            if (isLeaf(kind, i)) leaves[count++] = leafOf(kind, i);
        }
        assembly ("memory-safe") {
            mstore(leaves, count)
        }
    }

    // Moves

    function nothing() internal pure returns (IChallenges.Record memory) {}

    function none() internal pure returns (bytes32[] memory) {
        return new bytes32[](0);
    }

    function priceFor(bytes32 claimId, IChallenges.Record memory parent, uint256 position)
        internal
        view
        returns (uint256)
    {
        (uint256 gas_, uint256 extraWei) = challenges.quoteOpen(claimId, parent, position);
        return gas_ * 10 * block.basefee + extraWei;
    }

    /// @dev The number of a line that nobody has.
    function newLine() internal returns (uint16) {
        return ++_lines;
    }

    /// @dev In a new line.
    function openFrom(
        address who,
        bytes32 claimId,
        IChallenges.Record memory parent,
        uint256 position,
        bytes32 value,
        bytes32[] memory path
    ) internal returns (IChallenges.Record memory) {
        return openIn(who, claimId, parent, position, value, path, newLine());
    }

    /// @dev The opener's line, of which the parent is the lowest, goes on.
    function goOn(
        bytes32 claimId,
        IChallenges.Record memory parent,
        uint256 position,
        bytes32 value,
        bytes32[] memory path
    ) internal returns (IChallenges.Record memory) {
        return openIn(openerOf(parent), claimId, parent, position, value, path, numberOf(parent));
    }

    function openIn(
        address who,
        bytes32 claimId,
        IChallenges.Record memory parent,
        uint256 position,
        bytes32 value,
        bytes32[] memory path,
        uint16 line
    ) internal returns (IChallenges.Record memory) {
        uint256 price = priceFor(claimId, parent, position);
        vm.deal(who, who.balance + price);
        vm.recordLogs();
        vm.prank(who);
        challenges.open{value: price}(claimId, parent, position, value, path, line);
        return opened();
    }

    /// @dev In a new line: a root of run 0's trees, or posted contents.
    function openInJobFrom(address who, bytes32 claimId, IChallenges.Record memory parent, uint256 position)
        internal
        returns (IChallenges.Record memory)
    {
        bytes32 root = rootIn(job(Positions.lane(parent.position)), position);
        return openInJobIn(who, claimId, parent, position, root, none(), newLine());
    }

    /// @dev The opener's line goes on from the job.
    function goOnInJob(bytes32 claimId, IChallenges.Record memory parent, uint256 position)
        internal
        returns (IChallenges.Record memory)
    {
        bytes32 root = rootIn(job(Positions.lane(parent.position)), position);
        return openInJobIn(openerOf(parent), claimId, parent, position, root, none(), numberOf(parent));
    }

    /// @dev In a new line: a published node of run 0's trace.
    function openTraceFrom(
        address who,
        bytes32 claimId,
        IChallenges.Record memory parent,
        uint256 index,
        bytes32[][] memory forest
    ) internal returns (IChallenges.Record memory) {
        uint256 position = Positions.tree(TRACE, Positions.lane(parent.position), 0, uint8(TRACE_TOP), uint64(index));
        bytes32[] memory path = forest.path(TRACE_TOP, index, JOB_LEVELS);
        return openInJobIn(who, claimId, parent, position, forest[TRACE_TOP][index], path, newLine());
    }

    function openInJobIn(
        address who,
        bytes32 claimId,
        IChallenges.Record memory parent,
        uint256 position,
        bytes32 value,
        bytes32[] memory path,
        uint16 line
    ) internal returns (IChallenges.Record memory) {
        IFaults.Job memory job_ = job(Positions.lane(parent.position));
        (uint256 gas_, uint256 extraWei) = challenges.quoteOpenInJob(claimId, parent, job_, position);
        uint256 price = gas_ * 10 * block.basefee + extraWei;
        vm.deal(who, who.balance + price);
        vm.recordLogs();
        vm.prank(who);
        challenges.openInJob{value: price}(claimId, parent, job_, position, value, path, line);
        return opened();
    }

    /// @dev The root of a run's tree but its trace; 0 of posted contents.
    function rootIn(IFaults.Job memory job_, uint256 position) internal pure returns (bytes32) {
        uint256 run = Positions.run(position);
        if (run >= job_.runs.length) return 0;
        uint8 kind = Positions.kind(position);
        if (kind == TOKENS) return job_.runs[run].tokensRoot;
        if (kind == OFFSETS) return job_.runs[run].offsetsRoot;
        return kind == TEXT ? job_.runs[run].textRoot : bytes32(0);
    }

    /// @dev The last lane's job, under the claim itself.
    function openJob(address who, bytes32 claimId, uint32 lanes) internal returns (IChallenges.Record memory) {
        bytes32[] memory path = Naive.path(jobsOf(lanes), lanes - 1, 1);
        return openFrom(who, claimId, nothing(), jobAt(lanes - 1), recordOf(job(lanes - 1)), path);
    }

    function revealJobFrom(address who, bytes32 claimId, IChallenges.Record memory record)
        internal
        returns (IChallenges.Record memory)
    {
        IFaults.Job memory job_ = job(Positions.lane(record.position));
        bytes32[] memory digests = jobDigests();
        vm.recordLogs();
        vm.prank(who);
        challenges.revealJob(claimId, record, job_, digests, "");
        return revealed();
    }

    function revealPostedFrom(address who, bytes32 claimId, IChallenges.Record memory record)
        internal
        returns (IChallenges.Record memory)
    {
        vm.recordLogs();
        vm.prank(who);
        challenges.revealPosted(claimId, record, new bytes(countOf(record)), "");
        return revealed();
    }

    /// @dev Reveals a node of a tree of run 0 as it is.
    function revealTree(address who, bytes32 claimId, IChallenges.Record memory record, bytes32[][] memory forest)
        internal
        returns (IChallenges.Record memory)
    {
        uint8 kind = Positions.kind(record.position);
        uint256 height = Positions.height(record.position);
        uint256 index = Positions.index(record.position);
        vm.recordLogs();
        if (height <= CONTENT_LEVELS) {
            bytes[] memory leaves = leavesOf(kind, height, index);
            vm.prank(who);
            challenges.revealLeaves(claimId, record, leaves);
        } else {
            bytes32[] memory digests = digestsOf(kind, forest, height, index, levelsOf(kind, height));
            vm.prank(who);
            challenges.revealDigests(claimId, record, digests);
        }
        return revealed();
    }

    /// @dev Opens and reveals the node of a tree of run 0 that is `height` high and holds the leaf, in a new line of the challenger's under the job.
    function descend(
        bytes32 claimId,
        IChallenges.Record memory jobNode,
        uint8 kind,
        uint256 leaf,
        uint256 height,
        bytes32[][] memory forest
    ) internal returns (IChallenges.Record memory node) {
        uint256 at_ = forest.length - 1;
        if (kind == TRACE) {
            at_ = TRACE_TOP;
            node = openTraceFrom(challenger, claimId, jobNode, leaf >> at_, forest);
        } else {
            uint256 root = Positions.tree(kind, Positions.lane(jobNode.position), 0, uint8(at_), 0);
            node = openInJobFrom(challenger, claimId, jobNode, root);
        }
        node = revealTree(proposer, claimId, node, forest);
        while (at_ > height) {
            uint256 levels = levelsOf(kind, at_);
            at_ -= levels;
            node = goOn(
                claimId,
                node,
                Positions.tree(kind, Positions.lane(jobNode.position), 0, uint8(at_), uint64(leaf >> at_)),
                forest[at_][leaf >> at_],
                forest.path(at_, leaf >> at_, levels)
            );
            node = revealTree(proposer, claimId, node, forest);
        }
    }

    function jobAt(uint32 lane) internal pure returns (uint256) {
        return Positions.tree(JOB, lane, 0, 0, 0);
    }

    /// @dev The record of the last opening.
    function opened() internal returns (IChallenges.Record memory) {
        return abi.decode(_logged(IChallenges.Opened.selector), (IChallenges.Record));
    }

    function revealed() internal returns (IChallenges.Record memory record) {
        (record,) = abi.decode(_logged(IChallenges.Revealed.selector), (IChallenges.Record, bytes));
    }

    function revealedContents() internal returns (bytes memory contents) {
        (, contents) = abi.decode(_logged(IChallenges.Revealed.selector), (IChallenges.Record, bytes));
    }

    function proven() internal returns (IChallenges.Verdict memory verdict) {
        (, verdict) = abi.decode(_logged(IChallenges.Proven.selector), (uint8, IChallenges.Verdict));
    }

    function expired() internal returns (IChallenges.Verdict memory) {
        return abi.decode(_logged(IChallenges.Expired.selector), (IChallenges.Verdict));
    }

    function redeemed() internal returns (IChallenges.Verdict memory) {
        return abi.decode(_logged(IChallenges.Redeemed.selector), (IChallenges.Verdict));
    }

    /// @dev The data of the last recorded event of that kind.
    function _logged(bytes32 topic) private returns (bytes memory) {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = logs.length; i > 0; --i) {
            if (logs[i - 1].topics[0] == topic) return logs[i - 1].data;
        }
        revert NotTrue("the event was logged");
    }

    function lineOf(bytes32 claimId, IChallenges.Record memory record) internal pure returns (bytes32) {
        return keccak256(abi.encode(claimId, (uint256(uint160(openerOf(record))) << 16) | numberOf(record)));
    }

    function keyOf(bytes32 claimId, IChallenges.Record memory record) internal pure returns (bytes32) {
        return keccak256(abi.encode(lineOf(claimId, record), record.position));
    }

    function hashOf(bytes32 claimId, IChallenges.Record memory record) internal pure returns (bytes32) {
        return keccak256(abi.encode(claimId, record));
    }

    function hashOf(bytes32 claimId, IChallenges.Verdict memory verdict) internal pure returns (bytes32) {
        return keccak256(abi.encode(claimId, verdict));
    }

    /// @dev What the line of the record keeps.
    function slotOf(bytes32 claimId, IChallenges.Record memory record) internal view returns (bytes32) {
        return challenges.slotOf(lineOf(claimId, record));
    }

    // Fields of records, as `IChallenges` says

    function countOf(IChallenges.Record memory record) internal pure returns (uint256) {
        return uint64(record.shape >> 64);
    }

    function openerOf(IChallenges.Record memory record) internal pure returns (address) {
        return address(bytes20(bytes32(record.times)));
    }

    function numberOf(IChallenges.Record memory record) internal pure returns (uint16) {
        return uint16(record.times);
    }

    function openedAtOf(IChallenges.Record memory record) internal pure returns (uint256) {
        return uint40(record.times >> 56);
    }

    function revealedAtOf(IChallenges.Record memory record) internal pure returns (uint256) {
        return uint40(record.times >> 16);
    }

    function proposerSecondsOf(IChallenges.Record memory record) internal pure returns (uint256) {
        return uint32(record.funds >> 224);
    }

    function challengerSecondsOf(IChallenges.Record memory record) internal pure returns (uint256) {
        return uint32(record.funds >> 192);
    }

    function prepaidOf(IChallenges.Record memory record) internal pure returns (uint256) {
        return uint72(record.funds >> 120);
    }

    function spentOf(IChallenges.Record memory record) internal pure returns (uint256) {
        return uint72(record.funds >> 48);
    }

    function isLate(IChallenges.Record memory record) internal pure returns (bool) {
        return record.funds & 1 == 1;
    }

    /// @dev Whether the claim's state counts the node.
    function isCounted(IChallenges.Record memory record) internal pure returns (bool) {
        return record.funds & 2 == 2;
    }

    /// @dev A program whose sums are long and short, of every kind: see the comments.
    function _program() private pure returns (bytes memory) {
        Programs.Fields memory made = Programs.fields();
        made.context = 1024;
        (made.head, made.body, made.tail, made.layers) = (1, 8, 1, 2);
        made.entries = new Programs.Entry[](10);
        _set(made.entries[0], 1, 2, [uint32(64), 0, 0]); // embed
        _set(made.entries[1], 2, 0, [uint32(2048), 0, 0]); // norm_stat of 8 tiles
        _set(made.entries[2], 5, 2, [uint32(64), 2048, 0]); // matmul of 8 tiles
        _set(made.entries[3], 5, 2, [uint32(64), 1024, 0]); // of 4: proven without totals
        _set(made.entries[4], 5, 1, [uint32(64), 512, 0]); // f16 of 2
        _set(made.entries[5], 8, 0, [uint32(2), 1, 64]); // attn_max
        _set(made.entries[6], 9, 0, [uint32(2), 1, 64]); // attn_sum
        _set(made.entries[7], 10, 0, [uint32(2), 1, 64]); // attn_mix, 2 leaves
        _set(made.entries[8], 11, 0, [uint32(64), 0, 0]); // add
        _set(made.entries[9], 5, 2, [uint32(512), 64, 0]); // logits, 8 leaves
        bytes memory index;
        uint32[10] memory before = [uint32(0), 0, 1, 2, 3, 4, 5, 6, 8, 0];
        for (uint256 i = 0; i < 10; ++i) {
            index = bytes.concat(index, bytes4(before[i]));
        }
        index = bytes.concat(index, bytes4(uint32(1)), bytes4(uint32(9)), bytes4(uint32(8)));
        return bytes.concat(hex"00", Programs.encode(made), index);
    }

    function _set(Programs.Entry memory entry, uint8 op, uint8 format, uint32[3] memory dims) private pure {
        (entry.op, entry.format, entry.dims) = (op, format, dims);
    }
}
