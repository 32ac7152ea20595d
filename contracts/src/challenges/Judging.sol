// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IChallenges} from "../interfaces/IChallenges.sol";
import {IClaims} from "../interfaces/IClaims.sol";
import {IDisputes} from "../interfaces/IDisputes.sol";
import {IFaults} from "../interfaces/IFaults.sol";
import {Jobs} from "../libraries/Jobs.sol";
import {Machine} from "../libraries/Machine.sol";
import {Nodes} from "../libraries/Nodes.sol";
import {Positions} from "../libraries/Positions.sol";
import {RevealGas} from "../libraries/RevealGas.sol";
import {ChallengesBase} from "./ChallengesBase.sol";

/// @title Faults, expiries, and who gets what of a fallen claim's bond
abstract contract Judging is ChallengesBase {
    using Nodes for Record;

    /// @dev Burned bonds go to the zero address: nobody has its key and it has no code.
    address private constant BURN = address(0);
    bytes32 private constant TAG_DECLARATION = "sworn/declaration/1";
    /// @dev Gas of a proof that is paid for at most; of an expiry.
    uint256 private constant MOST_GAS = 500_000;
    /// @dev Gas after the measure: the slots, the event, the sender's balance.
    uint256 private constant UNMEASURED_GAS = 16_500;
    uint256 private constant NEW_BALANCE_GAS = 17_100;

    /// @inheritdoc IChallenges
    function prove(
        bytes32 claimId,
        Record[] calldata path,
        IFaults.Job calldata job,
        uint8 fault,
        bytes calldata witness,
        bytes32 salt
    ) external {
        uint256 gasBefore = gasleft();
        uint256 state = _states[claimId];
        _live(claimId, state);
        bytes32 key = _judge(claimId, path, job, fault, witness);

        Verdict memory verdict;
        verdict.culprit = path[0];
        if (salt != 0) {
            verdict.winner = msg.sender;
            verdict.declaredAt = _declared(claimId, key, verdict.culprit, msg.sender, salt, block.timestamp);
        }
        _fall(claimId, key, state, verdict, gasBefore);
        emit Proven(claimId, key, msg.sender, fault, verdict);
    }

    /// @inheritdoc IChallenges
    function expire(bytes32 claimId, Record calldata record) external {
        uint256 gasBefore = gasleft();
        uint256 state = _states[claimId];
        if (state & FALLEN != 0) revert AlreadyFallen(claimId);
        Verdict memory verdict;
        verdict.culprit = record;
        bytes32 key = _known(claimId, verdict.culprit);
        if (verdict.culprit.revealedAt() != 0) revert AlreadyRevealed(key);
        uint256 used = verdict.culprit.proposerSeconds() + block.timestamp - verdict.culprit.openedAt();
        if (used <= budgetSeconds) revert ProposerInTime(used, budgetSeconds);
        _fall(claimId, key, state, verdict, gasBefore);
        emit Expired(claimId, key, msg.sender, verdict);
    }

    /// @inheritdoc IChallenges
    function declare(bytes32 declaration) external {
        if (declaredAt[declaration] != 0) revert AlreadyDeclared(declaration);
        declaredAt[declaration] = block.timestamp;
        emit Declared(declaration, msg.sender);
    }

    /// @inheritdoc IChallenges
    function redeem(bytes32 claimId, Verdict calldata verdict_, address challenger, bytes32 salt) external {
        Verdict memory verdict = verdict_;
        bytes32 key = _judged(claimId, verdict);
        uint256 last = uint256(verdict.fellAt) + declarationSeconds;
        if (block.timestamp > last) revert TooLate(block.timestamp, last);
        uint64 time = _declared(claimId, key, verdict.culprit, challenger, salt, verdict.fellAt);
        if (verdict.declaredAt != 0 && time >= verdict.declaredAt) revert NotEarlier(time, verdict.declaredAt);
        (verdict.winner, verdict.declaredAt) = (challenger, time);
        slotOf[key] = _hash(verdict);
        emit Redeemed(claimId, challenger, verdict);
    }

    /// @inheritdoc IChallenges
    function settle(bytes32 claimId, Verdict calldata verdict_, Record[] calldata ancestors) external {
        Verdict memory verdict = verdict_;
        bytes32 key = _judged(claimId, verdict);
        uint256 last = uint256(verdict.fellAt) + declarationSeconds;
        if (block.timestamp <= last) revert TooEarly(block.timestamp, last + 1);
        _states[claimId] |= SETTLED;
        delete slotOf[key];

        // The whole path, from the culprit up to the claim.
        Record[] memory path = new Record[](ancestors.length + 1);
        path[0] = verdict.culprit;
        uint256 spentWei = verdict.culprit.spent();
        for (uint256 i = 1; i < path.length; ++i) {
            path[i] = ancestors[i - 1];
            key = _known(claimId, path[i]);
            if (key != path[i - 1].parentKey) revert WrongRecord(key, key, path[i - 1].parentKey);
            delete slotOf[key];
            spentWei += path[i].spent();
        }
        if (path[path.length - 1].parentKey != 0) revert BadLength(ancestors.length, ancestors.length + 1);

        uint256 bondWei = claims.bondWei();
        (uint256 refundedWei, uint256 rewardedWei) = _payPath(claimId, path, verdict, spentWei, bondWei);
        // Refunds are a quarter at most, rewards what the sender of the proof left of another: at least half burns.
        uint256 burnedWei = bondWei - bondWei / 4 + verdict.rewardWei - refundedWei - rewardedWei;
        emit Settled(claimId, refundedWei, rewardedWei, burnedWei);
        _send(BURN, burnedWei);
    }

    /// @inheritdoc IChallenges
    function reclaim(bytes32 claimId, Record calldata record_) external {
        Record memory record = record_;
        bytes32 key = _known(claimId, record);
        bool wrong = _decidedWrong(claimId);
        delete slotOf[key];
        uint256 openerWei = record.prepaid();
        uint256 proposerWei = 0;
        if (record.late()) {
            if (wrong) openerWei += _deposit();
            else proposerWei = _deposit();
        }
        _credit(record.opener(), openerWei);
        if (proposerWei > 0) _credit(claims.proposerOf(claimId), proposerWei);
        emit Reclaimed(claimId, key, record.opener(), openerWei, proposerWei);
    }

    /// @inheritdoc IDisputes
    function mayFinalise(bytes32 claimId, uint64 windowEnd) external view returns (bool) {
        uint256 state = _states[claimId];
        if (state == 0) return block.timestamp > windowEnd;
        return state & FALLEN == 0 && _pending(state) == 0 && block.timestamp > _aliveUntil(state);
    }

    /// @inheritdoc IChallenges
    function declarationOf(bytes32 claimId, bytes32 key, address challenger, bytes32 salt)
        public
        view
        returns (bytes32)
    {
        return sha256(abi.encode(TAG_DECLARATION, block.chainid, address(this), claimId, key, challenger, salt));
    }

    /// @dev Reverts unless it is a fault of the first node of the path; that node's key. Everything that it is judged against is bound by the claim, or was
    /// posted for it.
    function _judge(
        bytes32 claimId,
        Record[] calldata path,
        IFaults.Job calldata job,
        uint8 fault,
        bytes calldata witness
    ) private view returns (bytes32 key) {
        if (path.length == 0) revert BadLength(0, 1);
        Record memory node = path[0];
        Record memory parent;
        Record memory jobNode = node;
        uint256 used = 1;
        key = _revealed(claimId, node);
        if (!_isJob(node)) {
            if (path.length == 1) revert BadLength(1, 2);
            (parent, jobNode, used) = (path[1], path[1], 2);
            bytes32 parentKey = _revealed(claimId, parent);
            if (parentKey != node.parentKey) revert WrongRecord(parentKey, parentKey, node.parentKey);
            if (!_isJob(parent)) {
                if (path.length == 2) revert BadLength(2, 3);
                (jobNode, used) = (path[2], 3);
                _revealed(claimId, jobNode);
                // A claim has one job a lane.
                uint256 expected = Positions.tree(Machine.NODE_JOB, Positions.lane(node.position), 0, 0, 0);
                if (jobNode.position != expected) revert BadPosition("job", jobNode.position, expected);
            }
        }
        if (path.length != used) revert BadLength(path.length, used);
        if (!_isFault(claimId, node, parent, jobNode.value, job, fault, witness)) revert NoFault(fault);
    }

    /// @dev `faults.isFault`: the call is put together from its parts, since the job's encoding is hashed as well and a witness may be long.
    function _isFault(
        bytes32 claimId,
        Record memory node,
        Record memory parent,
        bytes32 jobHash,
        IFaults.Job calldata job,
        uint8 fault,
        bytes calldata witness
    ) private view returns (bool) {
        (uint64 epoch, bytes32 modelId) = claims.laneOf(claimId);
        uint256 args;
        assembly ("memory-safe") {
            args := add(mload(0x40), 0x20)
        }
        // Where the case begins, the fault, where the witness begins; the case: seven words, of which the third says where its job begins, then the job.
        uint256 end = Jobs.write(job, args + 10 * 32);
        bytes32 found = Jobs.hash(args + 10 * 32, end);
        if (found != jobHash) revert BadContents(found, jobHash);
        bytes4 selector = IFaults.isFault.selector;
        assembly ("memory-safe") {
            mstore(sub(args, 0x20), shr(224, selector))
            mstore(args, 0x60)
            mstore(add(args, 0x20), fault)
            mstore(add(args, 0x40), sub(end, args))
            mstore(add(args, 0x60), epoch)
            mstore(add(args, 0x80), modelId)
            mstore(add(args, 0xa0), 0xe0)
            mstore(add(args, 0xc0), mload(node))
            mstore(add(args, 0xe0), mload(add(node, 0x40)))
            mstore(add(args, 0x100), mload(parent))
            mstore(add(args, 0x120), mload(add(parent, 0x40)))
            mstore(end, witness.length)
            calldatacopy(add(end, 0x20), witness.offset, witness.length)
            let last := add(add(end, 0x20), witness.length)
            mstore(last, 0)
            end := and(add(last, 0x1f), not(0x1f))
            mstore(0x40, end)
        }
        return abi.decode(_view(address(faults), args - 4, end), (bool));
    }

    function _hash(Verdict memory verdict) private pure returns (bytes32) {
        return keccak256(abi.encode(verdict));
    }

    function _isJob(Record memory record) private pure returns (bool) {
        return Positions.kind(record.position) == Machine.NODE_JOB;
    }

    /// @dev Fells the claim. All of the bond is kept until its settlement: half to burn, a quarter for refunds, a quarter for rewards, of which the sender is paid first.
    function _fall(bytes32 claimId, bytes32 key, uint256 state, Verdict memory verdict, uint256 gasBefore) private {
        _states[claimId] = state | FALLEN;
        uint256 quarterWei = claims.fall(claimId) / 4;

        uint256 tokens = RevealGas.tokensOfCall();
        uint256 after_ = UNMEASURED_GAS + (balanceOf[msg.sender] == 0 ? NEW_BALANCE_GAS : 0);
        uint256 cost = RevealGas.transaction(gasBefore - gasleft() + after_, tokens);
        if (cost > MOST_GAS) cost = MOST_GAS;
        uint256 paidWei = cost * block.basefee * 11 / 10;
        if (paidWei > quarterWei) paidWei = quarterWei;
        _credit(msg.sender, paidWei);
        emit Rewarded(claimId, msg.sender, paidWei);

        verdict.rewardWei = quarterWei - paidWei;
        verdict.fellAt = uint64(block.timestamp);
        slotOf[key] = _hash(verdict);
    }

    /// @dev When the challenger declared the node: after it was revealed, before the claim fell.
    function _declared(
        bytes32 claimId,
        bytes32 key,
        Record memory node,
        address challenger,
        bytes32 salt,
        uint256 before
    ) private view returns (uint64) {
        bytes32 declaration = declarationOf(claimId, key, challenger, salt);
        uint256 time = declaredAt[declaration];
        uint256 since = node.revealedAt() == 0 ? node.openedAt() : node.revealedAt();
        if (time < since || time >= before) revert BadDeclaration(declaration, time);
        return uint64(time);
    }

    /// @dev The key of the culprit of a claim that fell and isn't settled.
    function _judged(bytes32 claimId, Verdict memory verdict) private view returns (bytes32 key) {
        if (_states[claimId] & FALLEN == 0) revert NotFallen(claimId);
        key = Nodes.key(claimId, verdict.culprit.position, verdict.culprit.parentKey);
        bytes32 found = _hash(verdict);
        if (slotOf[key] != found) revert WrongRecord(key, found, slotOf[key]);
    }

    /// @dev Neighbours on the path that one account opened are paid together.
    function _payPath(bytes32 claimId, Record[] memory path, Verdict memory verdict, uint256 spentWei, uint256 bondWei)
        private
        returns (uint256 refundedWei, uint256 rewardedWei)
    {
        uint256 shareWei = verdict.winner == address(0) ? verdict.rewardWei / path.length : 0;
        uint256 refundWei = bondWei / 4;
        uint256 dueWei = 0;
        uint256 dueShareWei = 0;
        for (uint256 i = 0; i < path.length; ++i) {
            Record memory node = path[i];
            uint256 backWei = node.spent();
            if (spentWei > refundWei) backWei = backWei * refundWei / spentWei;
            refundedWei += backWei;
            if (node.late()) backWei += bondWei / DEPOSIT_DIVISOR;
            dueWei += backWei + node.prepaid() + shareWei;
            dueShareWei += shareWei;
            address opener = node.opener();
            if (i + 1 < path.length && path[i + 1].opener() == opener) continue;
            _credit(opener, dueWei);
            if (dueShareWei > 0) emit Rewarded(claimId, opener, dueShareWei);
            rewardedWei += dueShareWei;
            (dueWei, dueShareWei) = (0, 0);
        }
        if (verdict.winner != address(0)) {
            rewardedWei = verdict.rewardWei;
            _credit(verdict.winner, rewardedWei);
            emit Rewarded(claimId, verdict.winner, rewardedWei);
        }
    }

    /// @dev Whether a decided claim was wrong: it fell, or an unequal one of its lane is final. Reverts for a claim that isn't decided, or is not settled.
    function _decidedWrong(bytes32 claimId) private view returns (bool) {
        uint256 state = _states[claimId];
        if (state & FALLEN != 0) {
            if (state & SETTLED == 0) revert NotDecided(claimId);
            return true;
        }
        (IClaims.Status status,, uint64 epoch,, bytes32 modelId, bytes32 root) = claims.factsOf(claimId);
        if (status == IClaims.Status.Final) return false;
        bytes32 finalId = claims.finalClaim(epoch, modelId);
        if (finalId == 0) revert NotDecided(claimId);
        (,,,,, bytes32 finalRoot) = claims.factsOf(finalId);
        return root != finalRoot;
    }
}
