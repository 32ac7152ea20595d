// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {IChallenges} from "../interfaces/IChallenges.sol";
import {IFaults} from "../interfaces/IFaults.sol";
import {IVouchers} from "../interfaces/IVouchers.sol";
import {Contents} from "../libraries/Contents.sol";
import {Jobs} from "../libraries/Jobs.sol";
import {Machine} from "../libraries/Machine.sol";
import {Nodes} from "../libraries/Nodes.sol";
import {Positions} from "../libraries/Positions.sol";
import {Programs} from "../libraries/Programs.sol";
import {Records} from "../libraries/Records.sol";
import {RevealGas} from "../libraries/RevealGas.sol";
import {Shapes} from "../libraries/Shapes.sol";
import {Trees} from "../libraries/Trees.sol";
import {ChallengesBase} from "./ChallengesBase.sol";

/// @title Reveals
abstract contract Revealing is ChallengesBase {
    using Nodes for Record;

    bytes32 private constant DOMAIN =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant REVEAL =
        keccak256("Reveal(bytes32 claimId,bytes32 line,uint256 position,bytes32 contentsHash)");
    bytes32 private constant NAME = keccak256("Sworn Challenges");
    bytes32 private constant VERSION = keccak256("1");

    /// @inheritdoc IChallenges
    function revealDigests(bytes32 claimId, Record calldata record_, bytes32[] calldata digests) external {
        Record memory record = record_;
        bytes32 line = _closed(claimId, record);
        (uint256 kind, uint256 height, uint256 levels) = _tree(record.position);
        if (levels == 0) revert BadPosition("height", height, Machine.CONTENT_LEVELS + 1);
        bytes32 found = Trees.node(digests, kind, record.shape, height, Positions.index(record.position), levels);
        if (found != record.value) revert BadContents(found, record.value);
        _reveal(claimId, line, record, _isPlainCall() ? bytes("") : abi.encode(digests), 0);
    }

    /// @inheritdoc IChallenges
    function revealLeaves(bytes32 claimId, Record calldata record_, bytes[] calldata leaves) external {
        Record memory record = record_;
        bytes32 line = _closed(claimId, record);
        (uint256 kind, uint256 height, uint256 levels) = _tree(record.position);
        if (levels != 0) revert BadPosition("height", height, Machine.CONTENT_LEVELS);
        if (leaves.length > 1 << height) revert BadLength(leaves.length, 1 << height);
        bytes32[] memory digests = new bytes32[](leaves.length);
        for (uint256 i = 0; i < leaves.length; ++i) {
            if (leaves[i].length > RevealGas.MAX_LEAF_BYTES) {
                revert BadLength(leaves[i].length, RevealGas.MAX_LEAF_BYTES);
            }
            digests[i] = sha256(leaves[i]);
        }
        bytes32 found = Trees.node(digests, kind, record.shape, height, Positions.index(record.position), height);
        if (found != record.value) revert BadContents(found, record.value);
        _reveal(claimId, line, record, _isPlainCall() ? bytes("") : abi.encode(leaves), 0);
    }

    /// @inheritdoc IChallenges
    function revealJob(
        bytes32 claimId,
        Record calldata record_,
        IFaults.Job calldata job,
        bytes32[] calldata digests,
        bytes calldata signature
    ) external {
        Record memory record = record_;
        bytes32 line = _closed(claimId, record);
        if (Positions.kind(record.position) != Machine.NODE_JOB) {
            revert BadPosition("kind", Positions.kind(record.position), Machine.NODE_JOB);
        }
        (bytes32 found, bool traced) = _jobRecord(job);
        if (found != record.value) revert BadContents(found, record.value);
        // Its fields are as they must be: they were hashed one by one.
        record.value = Jobs.hashOf(job);
        record.job = record.value;
        // Nobody has to compute a trace for a job without one.
        uint256 proposerWei = 0;
        if (traced) {
            proposerWei = record.shape;
            _checkSigned(claimId, line, record, signature);
            record.shape = rules.traceShape(claimId);
        }
        _checkTraces(job, record.shape, digests);
        _reveal(claimId, line, record, _isPlainCall() ? bytes("") : abi.encode(job, digests), proposerWei);
    }

    /// @inheritdoc IChallenges
    function revealPosted(bytes32 claimId, Record calldata record_, bytes calldata contents, bytes calldata signature)
        external
    {
        Record memory record = record_;
        bytes32 line = _closed(claimId, record);
        uint256 kind = Positions.kind(record.position);
        if (kind <= Machine.NODE_TRACE) revert BadPosition("kind", kind, Machine.NODE_TOTALS);
        uint256 expected = Shapes.count(record.shape);
        if (kind == Machine.NODE_MALFORMED && contents.length >= 8 && contents.length <= expected) {
            // As long as it says, with one segment at least.
            expected = 4 + 4 * uint256(uint32(bytes4(contents[0:4])));
        }
        if (contents.length != expected) revert BadLength(contents.length, expected);
        record.value = Contents.digest(record.position, contents);
        _checkSigned(claimId, line, record, signature);
        _reveal(claimId, line, record, _isPlainCall() ? bytes("") : contents, 0);
    }

    /// @inheritdoc IChallenges
    function revealHash(bytes32 claimId, bytes32 line, uint256 position, bytes32 contentsHash)
        public
        view
        returns (bytes32)
    {
        bytes32 domain = keccak256(abi.encode(DOMAIN, NAME, VERSION, block.chainid, address(this)));
        bytes32 message = keccak256(abi.encode(REVEAL, claimId, line, position, contentsHash));
        return keccak256(abi.encodePacked(hex"1901", domain, message));
    }

    /// @dev The line whose lowest node waits for its reveal, in time.
    function _closed(bytes32 claimId, Record memory record) private view returns (bytes32 line) {
        (line,) = _known(claimId, record);
        if (record.revealedAt() != 0) revert AlreadyRevealed(Nodes.key(line, record.position));
        uint256 used = record.proposerSeconds() + block.timestamp - record.openedAt();
        if (used > budgetSeconds) revert ProposerOutOfTime(used, budgetSeconds);
    }

    function _tree(uint256 position) private pure returns (uint256 kind, uint256 height, uint256 levels) {
        kind = Positions.kind(position);
        if (kind == Machine.NODE_JOB || kind > Machine.NODE_TRACE) {
            revert BadPosition("kind", kind, Machine.NODE_TRACE);
        }
        height = Positions.height(position);
        levels = Shapes.levels(kind, height);
    }

    /// @dev The record of section 6 that the contents give, and whether a run has a trace.
    function _jobRecord(IFaults.Job calldata job) private view returns (bytes32, bool traced) {
        uint256 count = job.runs.length;
        if (count > Machine.MAX_RUNS) revert BadLength(count, Machine.MAX_RUNS);
        if (job.traceRoots.length != count) revert BadLength(job.traceRoots.length, count);
        bytes32[] memory runs = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            IVouchers.Run calldata run = job.runs[i];
            runs[i] = Records.run(run);
            if (run.nTokens > run.nPrompt) traced = true;
            else if (job.traceRoots[i] != 0) revert BadContents(job.traceRoots[i], 0);
        }
        // A tree over the runs, like any: Z0 past the last.
        uint256 depth = Programs.log2Ceil(count);
        uint256 shape = Shapes.pack(0, 0, count, 0, 0);
        bytes32 runsRoot = Trees.node(runs, Machine.NODE_CLAIM, shape, depth, 0, depth);
        return (Records.job(job.inputId, count, runsRoot, job.scoreRoot), traced);
    }

    /// @dev Whether an account without code called this contract by itself: then the data of the transaction is that of this call, for everybody to read, and no event
    /// repeats it. Accounts that delegate to code (EIP-7702) have some.
    function _isPlainCall() private view returns (bool) {
        return msg.sender == tx.origin && msg.sender.code.length == 0;
    }

    /// @dev Whether the digests are those below the trace roots, of one run after the other.
    function _checkTraces(IFaults.Job calldata job, uint256 shape, bytes32[] calldata digests) private view {
        uint256 used = 0;
        uint256 count = job.runs.length;
        for (uint256 i = 0; i < count; ++i) {
            (uint256 nPrompt, uint256 nTokens) = (job.runs[i].nPrompt, job.runs[i].nTokens);
            if (Shapes.rows(nPrompt, nTokens) == 0) continue;
            uint256 ofRun = Shapes.ofTrace(shape, nPrompt, nTokens);
            uint256 depth = Shapes.traceDepth(ofRun);
            uint256 levels = Shapes.levelsInJob(count, depth);
            uint256 present = Shapes.presentInTrace(ofRun, depth - levels);
            if (used + present > digests.length) revert BadLength(digests.length, used + present);
            bytes32 found = Trees.node(digests[used:used + present], Machine.NODE_TRACE, ofRun, depth, 0, levels);
            if (found != job.traceRoots[i]) revert BadContents(found, job.traceRoots[i]);
            used += present;
        }
        if (used != digests.length) revert BadLength(digests.length, used);
    }

    /// @dev Contents that no hash binds are the proposer's: it calls, or it signed.
    function _checkSigned(bytes32 claimId, bytes32 line, Record memory record, bytes calldata signature) private view {
        address proposer = claims.proposerOf(claimId);
        if (signature.length == 0) {
            if (msg.sender != proposer) revert NotAuthorised(msg.sender);
            return;
        }
        bytes32 hash = revealHash(claimId, line, record.position, record.value);
        if (!SignatureChecker.isValidSignatureNowCalldata(proposer, hash, signature)) revert BadSignature(proposer);
    }

    /// @dev Ends a reveal: the clocks, what the proposer is owed if the claim is right, the record.
    /// @param jobWei For a job's traces.
    function _reveal(bytes32 claimId, bytes32 line, Record memory record, bytes memory contents, uint256 jobWei)
        private
    {
        if (record.counted()) {
            uint256 state = _states[claimId] - PENDING_ONE;
            uint256 alive = block.timestamp + budgetSeconds - record.challengerSeconds();
            if (alive > uint40(state)) state = (state & ~uint256(type(uint40).max)) | alive;
            _states[claimId] = state;
        }
        uint256 owedWei = jobWei + RevealGas.bound(record.position, record.shape) * block.basefee * 11 / 10;
        uint256 prepaidWei = record.prepaid();
        if (owedWei > prepaidWei) owedWei = prepaidWei;
        uint256 used = record.proposerSeconds() + block.timestamp - record.openedAt();
        record.funds = Nodes.spend(record.funds, used, owedWei);
        record.times = Nodes.revealed(record.times, block.timestamp);
        slotOf[line] = record.hash(claimId);
        emit Revealed(claimId, Nodes.key(line, record.position), msg.sender, record, contents);
    }
}
