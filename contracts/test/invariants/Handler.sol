// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IClaims} from "../../src/interfaces/IClaims.sol";
import {IInbox} from "../../src/interfaces/IInbox.sol";
import {ISwornRecipient} from "../../src/interfaces/ISwornRecipient.sol";
import {IVouchers} from "../../src/interfaces/IVouchers.sol";
import {Deployment} from "../utils/Deployment.sol";
import {Bomb, Burner} from "../utils/Hostile.sol";
import {TestDisputes} from "../utils/TestDisputes.sol";

/// @dev Counts what it receives; refuses every third time.
contract CountingRecipient is ISwornRecipient {
    mapping(uint256 inputId => mapping(uint32 run => uint256)) public received;
    uint256 public calls;

    function onSwornResponse(Response calldata response, bytes calldata) external {
        ++calls;
        require(calls % 3 != 0, "not this time");
        ++received[response.inputId][response.run];
    }
}

/// @title Everything that accounts can do to a deployment, in any order
/// @notice Each action picks its own arguments from random numbers and remembers what succeeded. Calls that revert are part
/// of the game.
contract Handler is Deployment {
    struct Counts {
        uint256 submitted;
        uint256 sealings;
        uint256 rearmed;
        uint256 claimed;
        uint256 finalised;
        uint256 fallen;
        uint256 superseded;
        uint256 settled;
        uint256 refunded;
        uint256 executed;
        uint256 failed;
        uint256 ranked;
        uint256 withdrawn;
    }

    TestDisputes public referee;
    CountingRecipient public recipient;
    address[] public accounts;
    address[] public recipients;
    bytes32[] public modelIds;
    bytes32[] public claimIds;
    Counts internal _counts;

    // What went in and out, by this contract's own book.
    uint256 public feesPaidWei;
    uint256 public feesWithdrawnWei;
    uint256 public bondsPaidWei;
    uint256 public bondsWithdrawnWei;
    uint256 public bondsBurnedWei;
    uint256 public bondsFallenWei;
    uint256 public burnedBefore;
    mapping(uint256 inputId => uint256) public settlements;
    mapping(uint256 inputId => uint256) public refunds;
    mapping(bytes32 claimId => uint256) public finalisedAt;
    mapping(bytes32 key => uint256) public executions;
    string public broken; // set when a call succeeded that must not

    // The chain's clock between calls.
    uint256 private _height;
    uint256 private _time;

    modifier clocked() {
        vm.roll(_height);
        vm.warp(_time);
        _;
        _height = height();
        _time = time();
    }

    function start() external {
        referee = new TestDisputes();
        deployWith(referee);
        recipient = new CountingRecipient();
        modelIds = [modelId, registerModel("other", 1)];
        accounts = [account("a"), account("b"), account("c"), account("d")];
        recipients =
            [address(recipient), address(recipient), address(new Burner()), address(new Bomb()), account("person")];
        burnedBefore = address(0).balance;
        _height = height();
        _time = time();
    }

    // Actions

    function submit(uint256 who, uint256 model, uint256 nRuns, uint256 target, uint256 more) external clocked {
        uint16 runs = uint16(1 + nRuns % 3);
        bytes memory payload = textPayload("Once upon a time");
        uint256 value = priceOf(runs, payload.length) + (more % 3 == 0 ? more % 1 ether : 0);
        if (more % 10 == 1) value = priceOf(runs, payload.length) - 1;
        address sender = _account(who);
        vm.deal(sender, sender.balance + value);
        vm.prank(sender);
        try inbox.submitFor{value: value}(
            _account(who / 7), _model(model), sampled(runs), payload, recipients[target % recipients.length]
        ) {
            if (more % 10 == 1) broken = "an input for less than its price";
            feesPaidWei += value;
            ++_counts.submitted;
        } catch {}
    }

    function askPrompt(uint256 who, uint256 nRuns) external clocked {
        uint16 runs = uint16(1 + nRuns % 3);
        uint256 price = prompts.quote(modelId, 16, sampled(runs));
        ask(_account(who), runs);
        feesPaidWei += price;
        ++_counts.submitted;
    }

    function pass(uint256 blocks, uint256 seconds_) external clocked {
        vm.roll(height() + 1 + blocks % 8);
        vm.warp(time() + 1 + seconds_ % 30);
    }

    function passLong(uint256 blocks, uint256 seconds_) external clocked {
        vm.roll(height() + blocks % 400);
        vm.warp(time() + 1 + seconds_ % ANSWER);
    }

    function seal(uint256 limit) external clocked {
        uint256 first = inbox.sealedCount();
        if (first == inbox.count()) return;
        uint256 target = inbox.input(first).submittedBlock + SEAL_DELAY;
        if (height() <= target) mine(target + 1 - height());
        bytes memory header;
        if (height() - target <= 256) header = headerOf(target);
        uint256 count = inbox.seal(header, 1 + limit % 4);
        if (inbox.sealedCount() > first) _counts.sealings += count;
        else _counts.rearmed += count;
    }

    function claim(uint256 who, uint256 input, uint256 lie) external clocked {
        (bool ok, uint64 epoch, bytes32 model) = _lane(input);
        if (!ok) return;
        bytes32[] memory digests = laneJobs(epoch, model);
        if (lie % 4 == 0) digests[lie % digests.length] = keccak256(abi.encode("lie", lie % 3));
        digests = topDigests(digests);
        address proposer = _account(who);
        vm.deal(proposer, proposer.balance + BOND);
        bytes32 accumulator = inbox.accumulatorAt(epoch);
        (, uint256 end) = inbox.epochBounds(epoch);
        vm.prank(proposer);
        try claims.claim{value: BOND}(epoch, model, accumulator, digests) returns (bytes32 id) {
            if (height() < end) broken = "a claim before the epoch ended";
            bondsPaidWei += BOND;
            claimIds.push(id);
            ++_counts.claimed;
        } catch {}
    }

    function holdDisputes(bool open) external clocked {
        referee.setOpen(open && time() % 3 == 0);
    }

    function finalise(uint256 which) external clocked {
        if (claimIds.length == 0) return;
        bytes32 id = claimIds[which % claimIds.length];
        bool held = referee.open();
        try claims.finalise(id) {
            if (held) broken = "final while disputed";
            if (finalisedAt[id] != 0) broken = "final twice";
            finalisedAt[id] = time();
            ++_counts.finalised;
        } catch {}
    }

    function fall(uint256 which, uint256 chance) external clocked {
        if (claimIds.length == 0 || chance % 3 != 0) return;
        try referee.fall(claims, claimIds[which % claimIds.length]) {
            bondsFallenWei += BOND;
            ++_counts.fallen;
        } catch {}
    }

    function resolveRival(uint256 which) external clocked {
        if (claimIds.length == 0) return;
        uint256 before = address(claims).balance;
        try claims.resolveRival(claimIds[which % claimIds.length]) {
            bondsBurnedWei += before - address(claims).balance;
            ++_counts.superseded;
        } catch {}
    }

    function settle(uint256 which) external clocked {
        if (inbox.count() == 0) return;
        uint256 id = which % inbox.count();
        try claims.settle(id) {
            ++settlements[id];
            ++_counts.settled;
        } catch {}
    }

    function refund(uint256 which) external clocked {
        if (inbox.count() == 0) return;
        uint256 id = which % inbox.count();
        uint256 deadline = claims.deadlineOf(id);
        try claims.refund(id) {
            if (time() <= deadline) broken = "refunded before its deadline";
            ++refunds[id];
            ++_counts.refunded;
        } catch {}
    }

    function execute(uint256 which, uint256 run) external clocked {
        (bool ok, uint64 epoch, bytes32 model) = _lane(which);
        if (!ok) return;
        bytes32[] memory lane = claims.laneClaims(epoch, model);
        if (lane.length == 0) return;
        bytes32 claimId = lane[run % lane.length];
        uint256 id = which % inbox.count();
        uint16 nRuns = inbox.unpackParams(inbox.input(id).params).nRuns;
        uint32 index = uint32(run / 7 % nRuns);
        try this.deliverFor(claimId, id, index) returns (bool delivered) {
            if (claims.claimOf(claimId).status != IClaims.Status.Final) broken = "executed before finality";
            if (claims.claimOf(claimId).root != honestRoot(epoch, model)) broken = "executed against another root";
            if (!delivered) {
                ++_counts.failed;
                return;
            }
            ++executions[keccak256(abi.encode(id, index))];
            ++_counts.executed;
        } catch {}
    }

    function rank(uint256 who, uint256 which, uint256 order) external clocked {
        if (prompts.promptCount() == 0) return;
        uint256 id = prompts.promptIds(which % prompts.promptCount(), 1)[0];
        uint16 nRuns = prompts.prompt(id).nRuns;
        uint8[] memory places = new uint8[](nRuns);
        for (uint256 i = 0; i < nRuns; ++i) {
            places[i] = uint8(1 + (i + order % nRuns) % nRuns);
        }
        bool all = prompts.prompt(id).nPosted == nRuns;
        vm.prank(_account(who));
        try prompts.rank(id, places, false) {
            if (!all) broken = "ranked before all responses were posted";
            ++_counts.ranked;
        } catch {}
    }

    function withdraw(uint256 who, bool fromFees) external clocked {
        address from = _account(who);
        uint256 before = from.balance;
        vm.prank(from);
        if (fromFees) {
            try fees.withdraw(payable(from)) {
                feesWithdrawnWei += from.balance - before;
                ++_counts.withdrawn;
            } catch {}
        } else {
            try claims.withdraw(payable(from)) {
                bondsWithdrawnWei += from.balance - before;
                ++_counts.withdrawn;
            } catch {}
        }
    }

    /// @dev The whole way for the oldest open input at once, so that deep states are reached often.
    function serve(uint256 which, uint256 who) external clocked {
        if (inbox.count() == 0) return;
        if (inbox.sealedCount() < inbox.count()) {
            uint256 target = inbox.input(inbox.sealedCount()).submittedBlock + SEAL_DELAY;
            if (height() > target + 256) return; // re-arming is `seal`'s
            uint256 before = inbox.sealedCount();
            if (height() <= target) mine(target + 1 - height());
            _counts.sealings += inbox.seal(headerOf(target), 100);
            if (inbox.sealedCount() == before) return;
        }
        (bool ok, uint64 epoch, bytes32 model) = _lane(which);
        if (!ok || claims.finalClaim(epoch, model) != 0 || referee.open()) return;
        endEpoch(epoch);
        bytes32 root = honestRoot(epoch, model);
        address proposer = _account(who);
        bytes32 id = claims.claimIdOf(epoch, model, inbox.accumulatorAt(epoch), root, proposer);
        try claims.claimOf(id) returns (IClaims.Claim memory) {
            return;
        } catch {}
        claimFrom(proposer, epoch, model, root);
        bondsPaidWei += BOND;
        claimIds.push(id);
        ++_counts.claimed;
        passWindow();
        claims.finalise(id);
        finalisedAt[id] = time();
        ++_counts.finalised;
    }

    function deliverFor(bytes32 claimId, uint256 id, uint32 run) external returns (bool) {
        return deliver(claimId, id, run);
    }

    // Views for the invariants

    function counts() external view returns (Counts memory) {
        return _counts;
    }

    function accountCount() external view returns (uint256) {
        return accounts.length;
    }

    function claimCount() external view returns (uint256) {
        return claimIds.length;
    }

    function contracts() external view returns (address, address, address, address, address) {
        return (address(inbox), address(claims), address(fees), address(vouchers), address(prompts));
    }

    function _account(uint256 who) private view returns (address) {
        return accounts[who % accounts.length];
    }

    function _model(uint256 which) private view returns (bytes32) {
        return modelIds[which % modelIds.length];
    }

    /// @dev The lane of an input, if it is sealed.
    function _lane(uint256 which) private view returns (bool ok, uint64 epoch, bytes32 model) {
        if (inbox.count() == 0) return (false, 0, 0);
        uint256 id = which % inbox.count();
        if (!inbox.isSealed(id)) return (false, 0, 0);
        IInbox.Input memory input = inbox.input(id);
        return (true, input.epoch, input.modelId);
    }
}
