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
    IChallenges.Record[] internal _nodes; // the lowest of each line
    bytes32[] internal _claimOf; // of a line
    IChallenges.Record[] internal _parents; // of the lowest node, as it was; position 0: the claim
    mapping(bytes32 line => uint256) internal _indices; // 1 + index
    IChallenges.Record[] internal _stale; // from where lines moved on, or were before a reveal
    bytes32[] internal _staleOf; // their claims
    mapping(bytes32 claimId => bytes) internal _verdicts;
    mapping(bytes32 claimId => bool) internal _fallen;
    mapping(bytes32 claimId => uint256) internal _alive;
    mapping(bytes32 claimId => IClaims.Status) internal _outcomes;
    string public broken; // set when something happened that must not
    uint256 public paidWei;
    uint256 public withdrawnWei;
    uint256 public opens;
    uint256 public goings; // of lines that went on
    uint256 public refusals; // of what must be refused
    uint256 public falls;
    uint256 public redemptions;
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

    /// @dev In a line of any number, in use or not.
    function openTop(uint256 who, uint256 which) external clocked {
        bytes32 id = claimIds[which % claimIds.length];
        bytes32 root = claims.claimOf(id).root;
        _open(accounts[1 + who % 4], id, 0, jobAt(0), root, uint16((who >> 8) % 6));
    }

    /// @dev By the line's owner or somebody else, in that line or another, in use or not.
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
        address opener = who % 2 == 0 ? openerOf(_nodes[parent]) : accounts[1 + (who >> 8) % 4];
        uint16 number = (who >> 16) % 2 == 0 ? numberOf(_nodes[parent]) : uint16((who >> 24) % 6);
        uint256 position;
        if (kind == JOB) {
            _openUnderJob(opener, parent, under[choice % 5], number);
            return;
        } else if (kind == TOKENS) {
            position = under[3 + choice % 2];
        } else if (kind == PROMPT) {
            position = Positions.posted(STARTS, 0, 0, uint64(choice % 2), 0, 0, 0);
        } else if (kind == SELECTION) {
            position = Positions.posted(GROUP, 0, 0, Positions.index(_nodes[parent].position), uint32(choice % 7), 0, 0);
        } else {
            return;
        }
        _open(opener, _claimOf[parent], parent + 1, position, 0, number);
    }

    /// @dev What a line left behind is nothing any more, to anyone.
    function useStale(uint256 which) external clocked {
        if (_stale.length == 0) return;
        uint256 i = which % _stale.length;
        _mustBeRefused(_staleOf[i], _stale[i]);
    }

    /// @dev Nor is a record anything to another claim.
    function useElsewhere(uint256 which, uint256 other) external clocked {
        if (_nodes.length == 0) return;
        uint256 i = which % _nodes.length;
        bytes32 id = claimIds[other % claimIds.length];
        if (id != _claimOf[i]) _mustBeRefused(id, _nodes[i]);
    }

    function _mustBeRefused(bytes32 id, IChallenges.Record memory record) private {
        judge.setGuilty(true);
        _lying = isWrong[id];
        IFaults.Job memory job_ = job(0);
        IChallenges.Record[] memory path = new IChallenges.Record[](1);
        path[0] = record;
        try challenges.prove(id, path, job_, 50, "", 0) {
            broken = "proven by a wrong record";
        } catch {}
        try challenges.expire(id, record) {
            broken = "expired by a wrong record";
        } catch {}
        try challenges.reclaim(id, record) {
            broken = "reclaimed by a wrong record";
        } catch {}
        Try memory t;
        (t.id, t.above, t.job, t.price, t.number) = (id, record, job_, 1 ether, 7);
        t.position = Positions.tree(TEXT, 0, 0, 2, 0);
        t.root = job_.runs[0].textRoot;
        vm.deal(address(this), 1 ether);
        (bool ok,) = _tryOpenInJob(t);
        if (ok) broken = "opened under a wrong record";
        bytes32[] memory digests = jobDigests();
        vm.prank(claims.proposerOf(id));
        try challenges.revealJob(id, record, job_, digests, "") {
            broken = "revealed by a wrong record";
        } catch {}
        ++refusals;
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
        bytes32 declaration = challenges.declarationOf(_claimOf[i], _nodes[i].position, sender, bytes32(1 + salt % 2));
        try challenges.declare(declaration) {} catch {}
    }

    function prove(uint256 who, uint256 which, uint256 salt) external clocked {
        if (_nodes.length == 0) return;
        uint256 i = which % _nodes.length;
        bytes32 id = _claimOf[i];
        judge.setGuilty(isWrong[id]);
        _lying = isWrong[id];
        bool both = _parents[i].position != 0 && (salt >> 8) % 2 == 0;
        IChallenges.Record[] memory path = new IChallenges.Record[](both ? 2 : 1);
        path[0] = _nodes[i];
        if (both) path[1] = _parents[i];
        IFaults.Job memory job_ = job(0);
        vm.recordLogs();
        vm.prank(accounts[1 + who % 4]);
        try challenges.prove(id, path, job_, 50, "", bytes32(salt % 3)) {
            _fell(id, abi.encode(proven()));
        } catch {}
    }

    function expire(uint256 who, uint256 which) external clocked {
        if (_nodes.length == 0) return;
        uint256 i = which % _nodes.length;
        vm.recordLogs();
        vm.prank(accounts[1 + who % 4]);
        try challenges.expire(_claimOf[i], _nodes[i]) {
            _fell(_claimOf[i], abi.encode(expired()));
        } catch {}
    }

    function redeem(uint256 who, uint256 which, uint256 salt) external clocked {
        bytes32 id = claimIds[which % claimIds.length];
        if (_verdicts[id].length == 0) return;
        IChallenges.Verdict memory verdict = abi.decode(_verdicts[id], (IChallenges.Verdict));
        uint256 i = who % _nodes.length;
        // The next line that is at the culprit's position, sometimes any.
        for (uint256 j = 0; j < _nodes.length && salt % 5 != 0; ++j) {
            if (_claimOf[i] == id && _nodes[i].position == verdict.culprit.position) break;
            i = (i + 1) % _nodes.length;
        }
        IChallenges.Record memory own = _nodes[i];
        vm.recordLogs();
        try challenges.redeem(id, verdict, own, bytes32(1 + salt % 2)) {
            IChallenges.Verdict memory next = redeemed();
            if (verdict.declaredAt != 0 && next.declaredAt >= verdict.declaredAt) broken = "a later declaration";
            if (next.winner != openerOf(own) || _claimOf[i] != id) broken = "redeemed for somebody else";
            if (own.position != verdict.culprit.position) broken = "redeemed elsewhere";
            if (next.declaredAt < revealedAtOf(own) || next.declaredAt < openedAtOf(own)) broken = "declared blindly";
            if (revealedAtOf(own) == 0 && revealedAtOf(verdict.culprit) != 0) broken = "declared unseen";
            if (next.declaredAt >= verdict.fellAt) broken = "declared too late";
            _verdicts[id] = abi.encode(next);
            ++redemptions;
        } catch {}
    }

    function settle(uint256 who, uint256 which) external clocked {
        bytes32 id = claimIds[which % claimIds.length];
        if (_verdicts[id].length == 0) return;
        IChallenges.Verdict memory verdict = abi.decode(_verdicts[id], (IChallenges.Verdict));
        address sender = accounts[1 + who % 5];
        uint256 burned = address(0).balance;
        uint256 before = sender.balance;
        vm.prank(sender);
        try challenges.settle(id, verdict) {
            ++settlements;
            delete _verdicts[id];
            withdrawnWei += address(0).balance - burned + sender.balance - before;
            if (address(0).balance - burned < BOND / 2) broken = "less than half burned";
        } catch {}
    }

    function reclaim(uint256 which) external clocked {
        if (_nodes.length == 0) return;
        uint256 i = which % _nodes.length;
        vm.prank((which >> 8) % 4 == 0 ? openerOf(_nodes[i]) : accounts[(which >> 16) % accounts.length]);
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
            if (slotOf(_claimOf[i], _nodes[i]) == 0) continue; // paid out
            wei_ += prepaidOf(_nodes[i]) + spentOf(_nodes[i]) + (isLate(_nodes[i]) ? BOND / 10 : 0);
        }
        for (uint256 i = 0; i < claimIds.length; ++i) {
            if (_verdicts[claimIds[i]].length == 0) continue;
            IChallenges.Verdict memory verdict = abi.decode(_verdicts[claimIds[i]], (IChallenges.Verdict));
            wei_ += BOND - BOND / 4 + verdict.rewardWei + verdict.senderWei;
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
            if (_parents[i].position == 0) continue;
            IChallenges.Record memory parent = _parents[i];
            if (node.parentHash != hashOf(_claimOf[i], parent)) return false;
            if (challengerSecondsOf(node) < challengerSecondsOf(parent)) return false;
            if (proposerSecondsOf(node) < proposerSecondsOf(parent)) return false;
            if (openedAtOf(node) < revealedAtOf(parent)) return false;
        }
        return true;
    }

    /// @dev The chain keeps every line's lowest node, as it is, until it is paid out; of a culprit the verdict.
    function slotsAreRight() external view returns (bool) {
        for (uint256 i = 0; i < _nodes.length; ++i) {
            bytes32 slot = slotOf(_claimOf[i], _nodes[i]);
            if (slot == 0 || slot == hashOf(_claimOf[i], _nodes[i])) continue;
            if (_verdicts[_claimOf[i]].length == 0) return false;
            IChallenges.Verdict memory verdict = abi.decode(_verdicts[_claimOf[i]], (IChallenges.Verdict));
            if (slot != hashOf(_claimOf[i], verdict)) return false;
            if (hashOf(_claimOf[i], verdict.culprit) != hashOf(_claimOf[i], _nodes[i])) return false;
        }
        return true;
    }

    /// @dev What waits is what the contract says.
    function pendingIsRight() external view returns (bool) {
        for (uint256 i = 0; i < claimIds.length; ++i) {
            uint256 pending = 0;
            for (uint256 j = 0; j < _nodes.length; ++j) {
                if (_claimOf[j] == claimIds[i] && revealedAtOf(_nodes[j]) == 0 && isCounted(_nodes[j])) ++pending;
            }
            if (challenges.stateOf(claimIds[i]).pending != pending) return false;
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

    function _open(address who, bytes32 id, uint256 parent, uint256 position, bytes32 value, uint16 number) private {
        IChallenges.Record memory above;
        if (parent > 0) above = _nodes[parent - 1];
        (bool ok, uint256 price) = _price(id, above, position);
        if (!ok) return;
        vm.deal(who, who.balance + price);
        vm.recordLogs();
        vm.prank(who);
        try challenges.open{value: price}(id, above, position, value, none(), number) {
            _opened(id, above, who, number, price);
        } catch (bytes memory error_) {
            _refusedLine(id, who, number, error_);
        }
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

    struct Try {
        address who;
        bytes32 id;
        IChallenges.Record above;
        IFaults.Job job;
        uint256 position;
        bytes32 root;
        uint16 number;
        uint256 price;
    }

    function _openUnderJob(address who, uint256 parent, uint256 position, uint16 number) private {
        Try memory t;
        (t.who, t.id, t.position, t.number) = (who, _claimOf[parent], position, number);
        _lying = isWrong[t.id];
        (t.above, t.job) = (_nodes[parent], job(0));
        t.root = rootIn(t.job, position);
        (uint256 gas_, uint256 extraWei) = challenges.quoteOpenInJob(t.id, t.above, t.job, position);
        t.price = gas_ * 10 * BASE_FEE + extraWei;
        vm.deal(who, who.balance + t.price);
        vm.recordLogs();
        vm.prank(who);
        (bool ok, bytes memory error_) = _tryOpenInJob(t);
        if (ok) _opened(t.id, t.above, who, number, t.price);
        else _refusedLine(t.id, who, number, error_);
    }

    function _tryOpenInJob(Try memory t) private returns (bool, bytes memory) {
        bytes32[] memory path = none();
        try challenges.openInJob{value: t.price}(t.id, t.above, t.job, t.position, t.root, path, t.number) {
            return (true, "");
        } catch (bytes memory error_) {
            return (false, error_);
        }
    }

    /// @dev A line is in use only by what its owner opened.
    function _refusedLine(bytes32 id, address who, uint16 number, bytes memory error_) private {
        if (bytes4(error_) != IChallenges.LineInUse.selector) return;
        if (_indices[challenges.lineOf(id, who, number)] == 0) broken = "somebody else uses the line";
    }

    function _opened(bytes32 id, IChallenges.Record memory above, address who, uint16 number, uint256 price) private {
        IChallenges.Record memory node = opened();
        bytes32 line = challenges.lineOf(id, who, number);
        if (line != lineOf(id, node)) broken = "another line";
        uint256 moneyWei = price;
        uint256 i = _indices[line];
        if (i == 0) {
            _nodes.push(node);
            _claimOf.push(id);
            _parents.push(above);
            _indices[line] = _nodes.length;
            if (above.position != 0 && slotOf(id, above) != hashOf(id, above)) broken = "somebody's line was moved";
        } else {
            --i;
            if (above.position == 0 || hashOf(id, _nodes[i]) != hashOf(id, above)) broken = "a line went on elsewhere";
            moneyWei += prepaidOf(above) + (isLate(above) ? BOND / 10 : 0);
            if (spentOf(node) != spentOf(above) || isLate(above) && !isLate(node)) broken = "a line forgot";
            _stale.push(above);
            _staleOf.push(id);
            (_nodes[i], _parents[i]) = (node, above);
            ++goings;
        }
        if (prepaidOf(node) + (isLate(node) ? BOND / 10 : 0) != moneyWei) broken = "money made by an opening";
        paidWei += price;
        ++opens;
    }

    function _reveal(uint256 i, address who) private {
        bytes32 id = _claimOf[i];
        IChallenges.Record memory node = _nodes[i];
        uint8 kind = Positions.kind(node.position);
        if (slotOf(id, node) != hashOf(id, node)) return; // reclaimed
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
        if (spentOf(node) + prepaidOf(node) != spentOf(_nodes[i]) + prepaidOf(_nodes[i])) {
            broken = "money made by a reveal";
        }
        _stale.push(_nodes[i]);
        _staleOf.push(id);
        _nodes[i] = node;
    }

    function _isPending(uint256 i) private view returns (bool) {
        return revealedAtOf(_nodes[i]) == 0 && !challenges.stateOf(_claimOf[i]).fallen;
    }

    /// @dev Pending, of a claim that still stands: a superseded one's node may have been reclaimed.
    function _isWaiting(uint256 i) private view returns (bool) {
        return _isPending(i) && slotOf(_claimOf[i], _nodes[i]) != 0;
    }

    function _fell(bytes32 id, bytes memory verdict) private {
        if (!isWrong[id]) broken = "an honest claim fell";
        if (_fallen[id]) broken = "fell twice";
        (_verdicts[id], _fallen[id]) = (verdict, true);
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
