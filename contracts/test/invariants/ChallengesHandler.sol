// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IChallenges} from "../../src/interfaces/IChallenges.sol";
import {IClaims} from "../../src/interfaces/IClaims.sol";
import {IFaults} from "../../src/interfaces/IFaults.sol";
import {Positions} from "../../src/libraries/Positions.sol";
import {Arena} from "../utils/Arena.sol";
import {Forest} from "../utils/Forest.sol";

/// @title An honest proposer, a liar, challengers and attackers, in any order
/// @notice The lane's one input is claimed by an honest proposer and by Sybils: liars, whose claims are wrong, and others. Each action picks its own arguments
/// from random numbers. The honest proposer answers within ANSWER_SECONDS; liars when they feel like it.
contract ChallengesHandler is Arena {
    using Forest for bytes32[][];

    uint64 internal constant ANSWER_SECONDS = 4;

    address[] public accounts;
    bytes32[] public claimIds;
    mapping(bytes32 claimId => bool) public isWrong;
    IChallenges.Record[] internal _nodes;
    bytes32[] internal _claimOf; // of a node
    uint256[] internal _parentOf; // 1 + index, 0 for the claim
    mapping(bytes32 claimId => bytes) internal _verdicts;
    mapping(bytes32 claimId => uint256) internal _culprits; // 1 + index
    mapping(bytes32 claimId => uint256) internal _alive;
    mapping(bytes32 claimId => IClaims.Status) internal _outcomes;
    string public broken; // set when something happened that must not
    uint256 public paidWei;
    uint256 public withdrawnWei;
    uint256 public opens;
    uint256 public falls;
    uint256 public settlements;
    uint256 public reclaims;

    bool private _lying; // whose job `job` is
    uint256 private _height;
    uint256 private _time;

    modifier clocked() {
        vm.roll(_height);
        vm.warp(_time);
        vm.fee(BASE_FEE);
        _;
        _checkClaims();
        _height = height();
        _time = time();
    }

    function start() external {
        deployArena();
        accounts = [proposer, challenger, attacker, account("liar"), account("second liar"), address(this)];
        claimIds.push(claimed(1));
        _height = height();
        _time = time();
    }

    function job(uint256 inputId) internal override returns (IFaults.Job memory made) {
        made = super.job(inputId);
        if (_lying) made.scoreRoot = "a lie";
    }

    // Actions

    function claimMore(uint256 who, bool lie) external clocked {
        if (claimIds.length > 5) return;
        address sybil = accounts[3 + who % 2];
        _lying = lie;
        bytes32 root = recordOf(job(0));
        bytes32 accumulator = inbox.accumulatorAt(0);
        vm.deal(sybil, sybil.balance + BOND);
        vm.prank(sybil);
        try claims.claim{value: BOND}(0, modelId, accumulator, one(root)) returns (bytes32 id) {
            claimIds.push(id);
            isWrong[id] = lie;
        } catch {}
    }

    /// @dev Time passes, and the honest proposer answers before more does.
    function pass(uint256 seconds_) external clocked {
        vm.warp(time() + 1 + seconds_ % ANSWER_SECONDS);
        for (uint256 i = 0; i < _nodes.length; ++i) {
            if (_isWaiting(i) && !isWrong[_claimOf[i]]) _reveal(i, i % 2 == 0 ? proposer : challenger);
        }
    }

    /// @dev Nothing waits for an honest answer, so much time can pass.
    function passLong(uint256 seconds_) external clocked {
        for (uint256 i = 0; i < _nodes.length; ++i) {
            if (_isWaiting(i) && !isWrong[_claimOf[i]]) return;
        }
        vm.warp(time() + 1 + seconds_ % 60);
    }

    function openTop(uint256 who, uint256 which) external clocked {
        bytes32 id = claimIds[which % claimIds.length];
        bytes32 root = claims.claimOf(id).root;
        _open(accounts[1 + who % 4], id, 0, jobAt(0), root);
    }

    function openBelow(uint256 who, uint256 which, uint256 choice) external clocked {
        if (_nodes.length == 0) return;
        uint256 parent = which % _nodes.length;
        if (revealedAtOf(_nodes[parent]) == 0) return;
        uint8 kind = Positions.kind(_nodes[parent].position);
        uint256[5] memory under = [
            Positions.tree(TOKENS, 0, 0, 3, 0),
            Positions.tree(OFFSETS, 0, 0, 2, 0),
            Positions.tree(TEXT, 0, 0, 2, 0),
            Positions.posted(PROMPT, 0, 0, 0, 0, 0, 0),
            Positions.posted(SELECTION, 0, 0, uint64(70 + choice % 3), 0, 0, 0)
        ];
        address opener = accounts[1 + who % 4];
        if (kind == JOB) {
            _openInJob(opener, parent, under[choice % 5]);
        } else if (kind == TOKENS) {
            _open(opener, _claimOf[parent], parent + 1, under[3 + choice % 2], 0);
        } else if (kind == PROMPT) {
            _open(opener, _claimOf[parent], parent + 1, Positions.posted(STARTS, 0, 0, uint64(choice % 2), 0, 0, 0), 0);
        } else if (kind == SELECTION) {
            _open(
                opener,
                _claimOf[parent],
                parent + 1,
                Positions.posted(GROUP, 0, 0, Positions.index(_nodes[parent].position), uint32(choice % 7), 0, 0),
                0
            );
        }
    }

    function liarReveals(uint256 which) external clocked {
        if (_nodes.length == 0) return;
        uint256 i = which % _nodes.length;
        if (!_isPending(i) || !isWrong[_claimOf[i]]) return;
        if (proposerSecondsOf(_nodes[i]) + time() - openedAtOf(_nodes[i]) > BUDGET) return; // too late
        _reveal(i, claims.proposerOf(_claimOf[i]));
    }

    function declare(uint256 who, uint256 which, uint256 salt) external clocked {
        if (_nodes.length == 0) return;
        uint256 i = which % _nodes.length;
        address sender = accounts[1 + who % 4];
        bytes32 declaration =
            challenges.declarationOf(_claimOf[i], keyOf(_claimOf[i], _nodes[i]), sender, bytes32(1 + salt % 2));
        try challenges.declare(declaration) {} catch {}
    }

    function prove(uint256 who, uint256 which, uint256 salt) external clocked {
        if (_nodes.length == 0) return;
        uint256 i = which % _nodes.length;
        bytes32 id = _claimOf[i];
        judge.setGuilty(isWrong[id]);
        _lying = isWrong[id];
        IChallenges.Record[] memory path = _toJob(i);
        IFaults.Job memory job_ = job(0);
        vm.recordLogs();
        vm.prank(accounts[1 + who % 4]);
        try challenges.prove(id, path, job_, 50, "", bytes32(salt % 3)) {
            _fell(id, i, abi.encode(proven()));
        } catch {}
    }

    function expire(uint256 who, uint256 which) external clocked {
        if (_nodes.length == 0) return;
        uint256 i = which % _nodes.length;
        vm.recordLogs();
        vm.prank(accounts[1 + who % 4]);
        try challenges.expire(_claimOf[i], _nodes[i]) {
            _fell(_claimOf[i], i, abi.encode(expired()));
        } catch {}
    }

    function redeem(uint256 who, uint256 which, uint256 salt) external clocked {
        bytes32 id = claimIds[which % claimIds.length];
        if (_verdicts[id].length == 0) return;
        IChallenges.Verdict memory verdict = abi.decode(_verdicts[id], (IChallenges.Verdict));
        vm.recordLogs();
        try challenges.redeem(id, verdict, accounts[1 + who % 4], bytes32(1 + salt % 2)) {
            IChallenges.Verdict memory next = redeemed();
            if (verdict.declaredAt != 0 && next.declaredAt >= verdict.declaredAt) broken = "a later declaration";
            _verdicts[id] = abi.encode(next);
        } catch {}
    }

    function settle(uint256 which) external clocked {
        bytes32 id = claimIds[which % claimIds.length];
        if (_verdicts[id].length == 0) return;
        IChallenges.Verdict memory verdict = abi.decode(_verdicts[id], (IChallenges.Verdict));
        IChallenges.Record[] memory ancestors = _ancestors(_culprits[id] - 1);
        uint256 burned = address(0).balance;
        try challenges.settle(id, verdict, ancestors) {
            ++settlements;
            delete _verdicts[id];
            withdrawnWei += address(0).balance - burned;
        } catch {}
    }

    function reclaim(uint256 which) external clocked {
        if (_nodes.length == 0) return;
        uint256 i = which % _nodes.length;
        try challenges.reclaim(_claimOf[i], _nodes[i]) {
            ++reclaims;
        } catch {}
    }

    function withdraw(uint256 who) external clocked {
        address account_ = accounts[who % accounts.length];
        uint256 balance = challenges.balanceOf(account_);
        vm.prank(account_);
        try challenges.withdraw(payable(account("purse"))) {
            withdrawnWei += balance;
        } catch {}
    }

    function finalise(uint256 which) external clocked {
        bytes32 id = claimIds[which % claimIds.length];
        try claims.finalise(id) {
            if (isPendingAny(id)) broken = "final with something pending";
            if (time() <= claims.claimOf(id).windowEnd) broken = "final in its window";
        } catch {}
        try claims.resolveRival(id) {} catch {}
    }

    receive() external payable {}

    // Views for the invariants

    function nodeCount() external view returns (uint256) {
        return _nodes.length;
    }

    function claimCount() external view returns (uint256) {
        return claimIds.length;
    }

    function accountCount() external view returns (uint256) {
        return accounts.length;
    }

    function parts() external view returns (IChallenges, IClaims) {
        return (challenges, IClaims(address(claims)));
    }

    /// @dev What the contract holds for nodes and settlements.
    function owedWei() external view returns (uint256 wei_) {
        for (uint256 i = 0; i < _nodes.length; ++i) {
            bytes32 slot = challenges.slotOf(keyOf(_claimOf[i], _nodes[i]));
            if (slot == 0) continue; // paid out
            wei_ += prepaidOf(_nodes[i]) + (isLate(_nodes[i]) ? BOND / 10 : 0);
        }
        for (uint256 i = 0; i < claimIds.length; ++i) {
            if (_verdicts[claimIds[i]].length == 0) continue;
            wei_ += BOND - BOND / 4 + abi.decode(_verdicts[claimIds[i]], (IChallenges.Verdict)).rewardWei;
        }
    }

    /// @dev Clocks: children have used what their parents had at least, nobody more than the budget; what waits for ever can be expired after W + 2C.
    function clocksAreRight() external view returns (bool) {
        for (uint256 i = 0; i < _nodes.length; ++i) {
            IChallenges.Record memory node = _nodes[i];
            uint256 end = claims.claimOf(_claimOf[i]).windowEnd;
            if (challengerSecondsOf(node) > BUDGET || proposerSecondsOf(node) > BUDGET) return false;
            if (openedAtOf(node) > end + 2 * BUDGET) return false;
            if (revealedAtOf(node) > end + 2 * BUDGET) return false;
            if (revealedAtOf(node) == 0 && _time > end + 2 * BUDGET) {
                if (proposerSecondsOf(node) + _time - openedAtOf(node) <= BUDGET) return false;
            }
            if (_parentOf[i] == 0) continue;
            IChallenges.Record memory parent = _nodes[_parentOf[i] - 1];
            if (challengerSecondsOf(node) < challengerSecondsOf(parent)) return false;
            if (proposerSecondsOf(node) < proposerSecondsOf(parent)) return false;
            if (openedAtOf(node) < revealedAtOf(parent)) return false;
        }
        return true;
    }

    function now_() external view returns (uint256) {
        return _time;
    }

    function isPendingAny(bytes32 id) public view returns (bool) {
        for (uint256 i = 0; i < _nodes.length; ++i) {
            if (_claimOf[i] == id && revealedAtOf(_nodes[i]) == 0) return true;
        }
        return false;
    }

    // Moves

    function _open(address who, bytes32 id, uint256 parent, uint256 position, bytes32 value) private {
        IChallenges.Record memory above;
        if (parent > 0) above = _nodes[parent - 1];
        (bool ok, uint256 price) = _price(id, above, position);
        if (!ok) return;
        vm.deal(who, who.balance + price);
        vm.recordLogs();
        vm.prank(who);
        try challenges.open{value: price}(id, above, position, value, none()) {
            _opened(id, parent, price);
        } catch {}
    }

    function _price(bytes32 id, IChallenges.Record memory above, uint256 position)
        private
        view
        returns (bool, uint256)
    {
        try challenges.quoteOpen(id, above, position) returns (uint256 gas_, uint256 extraWei) {
            return (true, gas_ * 10 * BASE_FEE + extraWei);
        } catch {
            return (false, 0);
        }
    }

    function _openInJob(address who, uint256 parent, uint256 position) private {
        bytes32 id = _claimOf[parent];
        _lying = isWrong[id];
        IFaults.Job memory job_ = job(0);
        (uint256 gas_, uint256 extraWei) = challenges.quoteOpenInJob(id, _nodes[parent], job_, position);
        uint256 price = gas_ * 10 * BASE_FEE + extraWei;
        vm.deal(who, who.balance + price);
        vm.recordLogs();
        vm.prank(who);
        try challenges.openInJob{value: price}(id, _nodes[parent], job_, position) {
            _opened(id, parent + 1, price);
        } catch {}
    }

    function _opened(bytes32 id, uint256 parent, uint256 price) private {
        _nodes.push(opened());
        _claimOf.push(id);
        _parentOf.push(parent);
        paidWei += price;
        ++opens;
        if (challenges.stateOf(id).fallen) broken = "opened under a fallen claim";
    }

    function _reveal(uint256 i, address who) private {
        bytes32 id = _claimOf[i];
        IChallenges.Record memory node = _nodes[i];
        uint8 kind = Positions.kind(node.position);
        if (challenges.slotOf(keyOf(id, node)) != keccak256(abi.encode(node))) return; // reclaimed
        _lying = isWrong[id];
        if (kind == JOB || kind > TRACE) who = claims.proposerOf(id);
        vm.recordLogs();
        if (kind == JOB) {
            node = revealJobFrom(who, id, node);
        } else if (kind > TRACE) {
            node = revealPostedFrom(who, id, node);
        } else {
            node = revealTree(who, id, node, forestOf(kind));
        }
        if (spentOf(node) + prepaidOf(node) != prepaidOf(_nodes[i])) broken = "money made by a reveal";
        _nodes[i] = node;
    }

    function _isPending(uint256 i) private view returns (bool) {
        return revealedAtOf(_nodes[i]) == 0 && !challenges.stateOf(_claimOf[i]).fallen;
    }

    /// @dev Pending, of a claim that still stands: a superseded one's node may have been reclaimed.
    function _isWaiting(uint256 i) private view returns (bool) {
        return _isPending(i) && challenges.slotOf(keyOf(_claimOf[i], _nodes[i])) != 0;
    }

    function _toJob(uint256 i) private view returns (IChallenges.Record[] memory path) {
        IChallenges.Record[] memory ancestors = _ancestors(i);
        uint256 count = ancestors.length > 1 ? 3 : ancestors.length + 1;
        path = new IChallenges.Record[](count);
        path[0] = _nodes[i];
        if (count > 1) path[1] = ancestors[0];
        if (count > 2) path[2] = ancestors[ancestors.length - 1];
    }

    function _ancestors(uint256 i) private view returns (IChallenges.Record[] memory path) {
        uint256 count = 0;
        for (uint256 j = _parentOf[i]; j > 0; j = _parentOf[j - 1]) {
            ++count;
        }
        path = new IChallenges.Record[](count);
        count = 0;
        for (uint256 j = _parentOf[i]; j > 0; j = _parentOf[j - 1]) {
            path[count++] = _nodes[j - 1];
        }
    }

    function _fell(bytes32 id, uint256 culprit, bytes memory verdict) private {
        if (!isWrong[id]) broken = "an honest claim fell";
        if (_culprits[id] != 0) broken = "fell twice";
        (_verdicts[id], _culprits[id]) = (verdict, culprit + 1);
        ++falls;
        paidWei += BOND;
    }

    /// @dev One outcome a claim; time left never shrinks; nothing is alive past W + 2C.
    function _checkClaims() private {
        for (uint256 i = 0; i < claimIds.length; ++i) {
            bytes32 id = claimIds[i];
            IClaims.Claim memory claim = claims.claimOf(id);
            IClaims.Status before = _outcomes[id];
            if (before != IClaims.Status.None && before != IClaims.Status.Standing && before != claim.status) {
                broken = "two outcomes";
            }
            _outcomes[id] = claim.status;
            IChallenges.State memory state = challenges.stateOf(id);
            if (state.fallen != (claim.status == IClaims.Status.Fallen)) broken = "fallen in one place only";
            if (state.aliveUntil < _alive[id]) broken = "less time than before";
            if (state.windowEnd != 0 && state.aliveUntil > claim.windowEnd + 2 * BUDGET) broken = "alive past W + 2C";
            _alive[id] = state.aliveUntil;
        }
    }
}
