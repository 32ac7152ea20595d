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
    /// @dev Of a reclaim, which a right claim's proposer needs to get its money.
    uint256 private constant RECLAIM_GAS = 100_000;

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
        Verdict memory verdict;
        bytes32 line;
        (line, verdict.culprit) = _judge(claimId, path, job, fault, witness);
        uint256 windowEnd = verdict.culprit.windowEnd();
        if (block.timestamp > windowEnd) _live(claimId, windowEnd, _states[claimId]);
        if (salt != 0) {
            if (verdict.culprit.opener() != msg.sender) revert NotAuthorised(msg.sender);
            verdict.winner = msg.sender;
            verdict.declaredAt = _declared(claimId, verdict.culprit, salt, block.timestamp);
        }
        _fall(claimId, line, verdict, gasBefore);
        emit Proven(claimId, Nodes.key(line, verdict.culprit.position), msg.sender, fault, verdict);
    }

    /// @inheritdoc IChallenges
    function expire(bytes32 claimId, Record calldata record) external {
        uint256 gasBefore = gasleft();
        Verdict memory verdict;
        verdict.culprit = record;
        (bytes32 line,) = _known(claimId, verdict.culprit);
        bytes32 key = Nodes.key(line, verdict.culprit.position);
        if (verdict.culprit.revealedAt() != 0) revert AlreadyRevealed(key);
        uint256 used = verdict.culprit.proposerSeconds() + block.timestamp - verdict.culprit.openedAt();
        if (used <= budgetSeconds) revert ProposerInTime(used, budgetSeconds);
        _fall(claimId, line, verdict, gasBefore);
        emit Expired(claimId, key, msg.sender, verdict);
    }

    /// @inheritdoc IChallenges
    function declare(bytes32 declaration) external {
        if (declaredAt[declaration] != 0) revert AlreadyDeclared(declaration);
        declaredAt[declaration] = block.timestamp;
        emit Declared(declaration, msg.sender);
    }

    /// @inheritdoc IChallenges
    function redeem(bytes32 claimId, Verdict calldata verdict_, Record calldata own_, bytes32 salt) external {
        Verdict memory verdict = verdict_;
        Record memory own = own_;
        bytes32 line = _judged(claimId, verdict);
        // The slot of the culprit's own line holds the verdict, which names the record.
        if (own.hash(claimId) != verdict.culprit.hash(claimId)) _known(claimId, own);
        if (own.position != verdict.culprit.position) {
            revert BadPosition("position", own.position, verdict.culprit.position);
        }
        // Who hasn't seen what showed the fault has not found it.
        if (own.revealedAt() == 0 && verdict.culprit.revealedAt() != 0) {
            revert NotRevealed(Nodes.key(Nodes.line(claimId, own.times), own.position));
        }
        uint256 last = uint256(verdict.fellAt) + declarationSeconds;
        if (block.timestamp > last) revert TooLate(block.timestamp, last);
        uint64 time = _declared(claimId, own, salt, verdict.fellAt);
        if (verdict.declaredAt != 0 && time >= verdict.declaredAt) revert NotEarlier(time, verdict.declaredAt);
        (verdict.winner, verdict.declaredAt) = (own.opener(), time);
        slotOf[line] = _hash(claimId, verdict);
        emit Redeemed(claimId, verdict.winner, verdict);
    }

    /// @inheritdoc IChallenges
    function settle(bytes32 claimId, Verdict calldata verdict_) external {
        Verdict memory verdict = verdict_;
        bytes32 line = _judged(claimId, verdict);
        uint256 last = uint256(verdict.fellAt) + declarationSeconds;
        if (block.timestamp <= last) revert TooEarly(block.timestamp, last + 1);
        delete slotOf[line];

        Record memory culprit = verdict.culprit;
        uint256 bondWei = claims.bondWei();
        uint256 refundedWei = culprit.spent();
        uint256 ownerWei = refundedWei + culprit.prepaid() + verdict.senderWei;
        if (culprit.late()) ownerWei += bondWei / DEPOSIT_DIVISOR;
        address owner = culprit.opener();
        address winner = verdict.winner == address(0) ? owner : verdict.winner;
        emit Rewarded(claimId, winner, verdict.rewardWei);
        uint256 burnedWei = bondWei - bondWei / 4;
        emit Settled(claimId, refundedWei, verdict.rewardWei, burnedWei);

        uint256 callerWei = _pay(owner, ownerWei) + _pay(winner, verdict.rewardWei);
        _send(BURN, burnedWei);
        if (callerWei != 0) _send(msg.sender, callerWei);
    }

    /// @inheritdoc IChallenges
    function reclaim(bytes32 claimId, Record calldata record_) external {
        Record memory record = record_;
        (bytes32 line,) = _known(claimId, record);
        bool wrong = _decidedWrong(claimId, record.opener());
        delete slotOf[line];
        uint256 openerWei = record.prepaid();
        uint256 proposerWei = record.spent();
        if (record.late()) proposerWei += _deposit();
        if (wrong) {
            (openerWei, proposerWei) = (openerWei + proposerWei, 0);
        } else {
            address proposer = claims.proposerOf(claimId);
            if (msg.sender == proposer) {
                uint256 costWei = RECLAIM_GAS * block.basefee * 11 / 10;
                if (costWei > openerWei) costWei = openerWei;
                (openerWei, proposerWei) = (openerWei - costWei, proposerWei + costWei);
            }
            _credit(proposer, proposerWei);
        }
        _credit(record.opener(), openerWei);
        emit Reclaimed(claimId, Nodes.key(line, record.position), record.opener(), openerWei, proposerWei);
    }

    /// @inheritdoc IDisputes
    function mayFinalise(bytes32 claimId, uint64 windowEnd) external view returns (bool) {
        uint256 state = _states[claimId];
        return _pending(state) == 0 && block.timestamp > _aliveUntil(windowEnd, state);
    }

    /// @inheritdoc IChallenges
    function declarationOf(bytes32 claimId, uint256 position, address challenger, bytes32 salt)
        public
        view
        returns (bytes32)
    {
        return sha256(abi.encode(TAG_DECLARATION, block.chainid, address(this), claimId, position, challenger, salt));
    }

    /// @dev Reverts unless it is a fault of the first node of the path; its line and record. Everything that it is judged against is bound by the claim, or was
    /// posted for it.
    function _judge(
        bytes32 claimId,
        Record[] calldata path,
        IFaults.Job calldata job,
        uint8 fault,
        bytes calldata witness
    ) private view returns (bytes32 line, Record memory node) {
        if (path.length == 0 || path.length > 2) revert BadLength(path.length, 2);
        node = path[0];
        Record memory parent;
        (line,) = _revealed(claimId, node);
        if (path.length == 2) {
            parent = path[1];
            bytes32 found = parent.hash(claimId);
            if (found != node.parentHash) revert WrongRecord(line, found, node.parentHash);
        }
        if (!_isFault(claimId, node, parent, job, fault, witness)) revert NoFault(fault);
    }

    /// @dev `faults.isFault`: the call is put together from its parts, since the job's encoding is hashed as well and a witness may be long.
    function _isFault(
        bytes32 claimId,
        Record memory node,
        Record memory parent,
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
        if (found != node.job) revert BadContents(found, node.job);
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

    function _hash(bytes32 claimId, Verdict memory verdict) private pure returns (bytes32) {
        return keccak256(abi.encode(claimId, verdict));
    }

    /// @dev Fells the claim, once. All of the bond is kept until its settlement: a quarter for rewards, of which the sender is paid first, the rest to burn.
    function _fall(bytes32 claimId, bytes32 line, Verdict memory verdict, uint256 gasBefore) private {
        uint256 quarterWei = claims.fall(claimId) / 4;

        uint256 tokens = RevealGas.tokensOfCall();
        // Whom the settlement pays anyway needs no balance now.
        bool isOwner = verdict.culprit.opener() == msg.sender;
        uint256 after_ = UNMEASURED_GAS + (isOwner || balanceOf[msg.sender] != 0 ? 0 : NEW_BALANCE_GAS);
        uint256 cost = RevealGas.transaction(gasBefore - gasleft() + after_, tokens);
        if (cost > MOST_GAS) cost = MOST_GAS;
        uint256 paidWei = cost * block.basefee * 11 / 10;
        if (paidWei > quarterWei) paidWei = quarterWei;
        if (isOwner) verdict.senderWei = paidWei;
        else _credit(msg.sender, paidWei);
        emit Rewarded(claimId, msg.sender, paidWei);

        verdict.rewardWei = quarterWei - paidWei;
        verdict.fellAt = uint64(block.timestamp);
        slotOf[line] = _hash(claimId, verdict);
    }

    /// @dev When the opener of a node declared it: after it was revealed, before the claim fell.
    function _declared(bytes32 claimId, Record memory node, bytes32 salt, uint256 before)
        private
        view
        returns (uint64)
    {
        bytes32 declaration = declarationOf(claimId, node.position, node.opener(), salt);
        uint256 time = declaredAt[declaration];
        uint256 since = node.revealedAt() == 0 ? node.openedAt() : node.revealedAt();
        if (time < since || time >= before) revert BadDeclaration(declaration, time);
        return uint64(time);
    }

    /// @dev The line of the culprit of a claim that fell and isn't settled.
    function _judged(bytes32 claimId, Verdict memory verdict) private view returns (bytes32 line) {
        line = Nodes.line(claimId, verdict.culprit.times);
        bytes32 found = _hash(claimId, verdict);
        if (slotOf[line] != found) revert WrongRecord(line, found, slotOf[line]);
    }

    /// @dev Credits an account unless it is the caller, whose part it returns.
    function _pay(address account, uint256 amountWei) private returns (uint256 callerWei) {
        if (account == msg.sender) return amountWei;
        _credit(account, amountWei);
    }

    /// @dev Whether a decided claim was wrong: it fell, or an unequal one of its lane is final. Reverts for a claim that isn't decided. Of a fallen one only the opener
    /// reclaims, to whom all is owed: it may need the record for its declaration.
    function _decidedWrong(bytes32 claimId, address opener) private view returns (bool) {
        (IClaims.Status status,, uint64 epoch,, bytes32 modelId, bytes32 root) = claims.factsOf(claimId);
        if (status == IClaims.Status.Fallen) {
            if (msg.sender != opener) revert NotAuthorised(msg.sender);
            return true;
        }
        if (status == IClaims.Status.Final) return false;
        bytes32 finalId = claims.finalClaim(epoch, modelId);
        if (finalId == 0) revert NotDecided(claimId);
        (,,,,, bytes32 finalRoot) = claims.factsOf(finalId);
        return root != finalRoot;
    }
}
