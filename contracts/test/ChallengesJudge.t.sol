// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IChallenges} from "../src/interfaces/IChallenges.sol";
import {IClaims} from "../src/interfaces/IClaims.sol";
import {IFaults} from "../src/interfaces/IFaults.sol";
import {Positions} from "../src/libraries/Positions.sol";
import {Arena} from "./utils/Arena.sol";
import {Grabber, Refuser} from "./utils/Hostile.sol";

/// @dev Settles, and while it is paid tries to be paid once more in every way.
contract SettlingOwner {
    IChallenges private immutable _challenges;
    uint256 public tried;
    bytes[] private _calls;

    constructor(IChallenges challenges) {
        _challenges = challenges;
    }

    function settle(bytes32 claimId, IChallenges.Verdict calldata verdict, IChallenges.Record calldata record)
        external
    {
        _calls.push(abi.encodeCall(IChallenges.settle, (claimId, verdict)));
        _calls.push(abi.encodeCall(IChallenges.redeem, (claimId, verdict, record, 0)));
        _calls.push(abi.encodeCall(IChallenges.reclaim, (claimId, record)));
        _calls.push(abi.encodeCall(IChallenges.withdraw, (payable(address(this)))));
        _challenges.settle(claimId, verdict);
    }

    receive() external payable {
        for (uint256 i = 0; i < _calls.length; ++i) {
            (bool ok,) = address(_challenges).call(_calls[i]);
            require(!ok, "paid again");
            ++tried;
        }
    }
}

/// @title Proofs, expiries and what becomes of the money: rules A6 to A11 and A22
contract ChallengesJudgeTest is Arena {
    bytes32 private claimId;
    uint256 private _burned;

    function setUp() external {
        deployArena();
        claimId = claimed(1);
        _burned = address(0).balance;
    }

    // Proofs

    /// @dev The judge gets the claim's lane, the job, the node and the parent that is brought, encoded as any caller would.
    function test_A24_theCase() external {
        (IChallenges.Record[] memory path, IChallenges.Record memory jobNode) = _path();
        IFaults.Case memory case_ = IFaults.Case({
            epoch: 0,
            modelId: modelId,
            job: job(0),
            node: IFaults.Node(path[0].position, path[0].value),
            parent: IFaults.Node(path[1].position, path[1].value)
        });
        for (uint256 length = 0; length < 70; length += 23) {
            bytes memory witness = randomBytes(1, length);
            judge.expect(keccak256(abi.encode(case_, uint8(50), witness)));
            vm.expectRevert(abi.encodeWithSelector(IChallenges.NoFault.selector, 50));
            challenges.prove(claimId, path, job(0), 50, witness, 0);
        }
        // Without its parent.
        case_.parent = IFaults.Node(0, 0);
        judge.expect(keccak256(abi.encode(case_, uint8(50), bytes("w"))));
        path = _only(path[0]);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.NoFault.selector, 50));
        challenges.prove(claimId, path, job(0), 50, "w", 0);
        // Of a job, and under one.
        jobNode = revealJobFrom(proposer, claimId, openJob(challenger, claimId, 1));
        case_.node = IFaults.Node(jobNode.position, jobNode.value);
        judge.expect(keccak256(abi.encode(case_, uint8(16), bytes("w"))));
        path = _only(jobNode);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.NoFault.selector, 16));
        challenges.prove(claimId, path, job(0), 16, "w", 0);
        IChallenges.Record memory node = goOnInJob(claimId, jobNode, Positions.tree(TEXT, 0, 0, 2, 0));
        node = revealTree(proposer, claimId, node, new bytes32[][](0));
        case_.parent = case_.node;
        case_.node = IFaults.Node(node.position, node.value);
        judge.expect(keccak256(abi.encode(case_, uint8(37), bytes("w"))));
        path = _two(node, jobNode);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.NoFault.selector, 37));
        challenges.prove(claimId, path, job(0), 37, "w", 0);
    }

    /// @dev One record or two: the lowest of its line as it is kept, its parent as it was when the line went on.
    function test_A24_proofsBringWhatIsRevealed() external {
        judge.setGuilty(true);
        (IChallenges.Record[] memory path, IChallenges.Record memory jobNode) = _path();
        IFaults.Job memory job_ = job(0);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadLength.selector, 0, 2));
        challenges.prove(claimId, new IChallenges.Record[](0), job_, 50, "", 0);
        IChallenges.Record[] memory wrong = new IChallenges.Record[](3);
        (wrong[0], wrong[1], wrong[2]) = (path[0], path[1], jobNode);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadLength.selector, 3, 2));
        challenges.prove(claimId, wrong, job_, 50, "", 0);
        _wrongRecord(_two(path[0], jobNode)); // not its parent
        _wrongRecord(_two(path[0], path[0]));
        _wrongRecord(_two(path[0], nothing()));
        // The line moved on from there.
        _wrongRecord(_two(path[1], jobNode));
        _wrongRecord(_only(path[1]));
        _wrongRecord(_only(jobNode));
        // Nodes as they are not.
        for (uint256 word = 0; word < 7; ++word) {
            for (uint256 i = 0; i < 2; ++i) {
                _wrongRecord(_changed(path, i, word));
            }
        }
        job_.traceRoots[0] = "another";
        vm.expectPartialRevert(IChallenges.BadContents.selector);
        challenges.prove(claimId, path, job_, 50, "", 0);
        // What the judge reverts with comes through.
        vm.expectRevert(abi.encodeWithSelector(IFaults.BadWitness.selector, "as told"));
        challenges.prove(claimId, path, job(0), 50, "revert", 0);
        challenges.prove(claimId, path, job(0), 50, "", 0);
    }

    /// @dev The parent is the one under which the node was opened, not what another line has at its position.
    function test_A24_parentsAreOfTheLine() external {
        judge.setGuilty(true);
        (IChallenges.Record[] memory path,) = _path();
        (IChallenges.Record[] memory other,) = _pathOf(attacker);
        same(path[1].position, other[1].position, "both are the prompt");
        _wrongRecord(_two(path[0], other[1]));
        _wrongRecord(_two(other[0], path[1]));
        IFaults.Job memory job_ = job(0);
        challenges.prove(claimId, other, job_, 50, "", 0);
    }

    /// @dev Records of equal claims don't serve each other, even when they are alike.
    function test_A24_recordsAreOfOneClaim() external {
        judge.setGuilty(true);
        bytes32 rival = claimDigests(attacker, 0, modelId, topDigests(jobsOf(1)));
        vm.fee(0);
        bytes32 root = recordOf(job(0));
        IChallenges.Record memory node = openIn(challenger, claimId, nothing(), jobAt(0), root, none(), 1);
        IChallenges.Record memory twin = openIn(challenger, rival, nothing(), jobAt(0), root, none(), 1);
        same(keccak256(abi.encode(node)), keccak256(abi.encode(twin)), "alike");
        check(lineOf(claimId, node) != lineOf(rival, twin), "in lines of their claims");
        node = revealJobFrom(proposer, claimId, node);
        IFaults.Job memory job_ = job(0);
        IChallenges.Record[] memory path = _only(node);
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.prove(rival, path, job_, 16, "", 0);
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.expire(rival, node);
        // Nor as parents, which are known by their hashes only.
        twin = revealJobFrom(attacker, rival, twin);
        same(keccak256(abi.encode(node)), keccak256(abi.encode(twin)), "still alike");
        uint256 position = Positions.tree(TEXT, 0, 0, 2, 0);
        twin = goOnInJob(rival, twin, position);
        twin = revealTree(proposer, rival, twin, new bytes32[][](0));
        path = _two(twin, node);
        challenges.prove(rival, path, job_, 50, "", 0); // the same record, of the twin
        check(claims.claimOf(claimId).status == IClaims.Status.Standing, "the other stands");
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.reclaim(rival, node);
    }

    /// @dev A node is judged by the job that it is under, whoever brings another.
    function test_A24_onlyItsOwnJob() external {
        judge.setGuilty(true);
        (IChallenges.Record[] memory path,) = _path();
        IFaults.Job memory job_ = job(1);
        bytes32 found = keccak256(abi.encode(job_));
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadContents.selector, found, path[0].job));
        challenges.prove(claimId, path, job_, 50, "", 0);
        path = _only(path[0]);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadContents.selector, found, path[0].job));
        challenges.prove(claimId, path, job_, 50, "", 0);
        // Two lines under the same job with other trace roots have another each.
        IChallenges.Record memory node = openJob(attacker, claimId, 1);
        check(node.job == 0 && path[0].job == keccak256(abi.encode(job(0))), "from the reveal on");
    }

    function test_A24_noProofOfAClosedNode() external {
        judge.setGuilty(true);
        IChallenges.Record memory jobNode = revealJobFrom(proposer, claimId, openJob(challenger, claimId, 1));
        IChallenges.Record memory node = goOnInJob(claimId, jobNode, Positions.tree(OFFSETS, 0, 0, 2, 0));
        IChallenges.Record[] memory path = _two(node, jobNode);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.NotRevealed.selector, keyOf(claimId, node)));
        challenges.prove(claimId, path, job(0), 50, "", 0);
    }

    function test_A8_proofsAreValidUntilFinality() external {
        judge.setGuilty(true);
        (IChallenges.Record[] memory path,) = _path();
        IChallenges.Record memory other = revealJobFrom(proposer, claimId, openJob(attacker, claimId, 1));
        IFaults.Job memory job_ = job(0);
        uint64 end = claims.claimOf(claimId).windowEnd;
        vm.warp(end + 1);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.PastFinality.selector, claimId, end, end + 1));
        challenges.prove(claimId, path, job_, 50, "", 0);
        vm.warp(end);
        openInJobFrom(attacker, claimId, other, Positions.tree(OFFSETS, 0, 0, 2, 0));
        // As long as anything waits, and however late it is.
        vm.warp(end + 10 * BUDGET);
        challenges.prove(claimId, path, job_, 50, "", 0);
        check(claims.claimOf(claimId).status == IClaims.Status.Fallen, "fallen");
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.prove(claimId, path, job_, 50, "", 0);
        path = _only(other);
        vm.expectRevert(abi.encodeWithSelector(IClaims.NotStanding.selector, claimId, IClaims.Status.Fallen));
        challenges.prove(claimId, path, job_, 50, "", 0);
    }

    // Expiry

    function test_A8_silenceFellsTheClaim() external {
        IChallenges.Record memory node = openJob(challenger, claimId, 1);
        vm.warp(openedAtOf(node) + BUDGET);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.ProposerInTime.selector, BUDGET, BUDGET));
        challenges.expire(claimId, node);
        vm.warp(openedAtOf(node) + BUDGET + 1);
        uint64 end = claims.claimOf(claimId).windowEnd;
        check(!challenges.mayFinalise(claimId, end), "blocked until somebody says so");
        vm.warp(end + 100 * BUDGET);
        check(!challenges.mayFinalise(claimId, end), "however long");
        vm.recordLogs();
        vm.prank(attacker);
        challenges.expire(claimId, node);
        IChallenges.Verdict memory verdict = expired();
        check(claims.claimOf(claimId).status == IClaims.Status.Fallen, "fallen");
        check(challenges.stateOf(claimId).fallen, "here too");
        check(!challenges.mayFinalise(claimId, end), "for ever");
        same(slotOf(claimId, node), hashOf(claimId, verdict), "the culprit's slot has the verdict");
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.expire(claimId, node);
        IFaults.Job memory job_ = job(0);
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.revealJob(claimId, node, job_, none(), "");
    }

    function test_A8_whatIsRevealedDoesNotExpire() external {
        IChallenges.Record memory node = revealJobFrom(proposer, claimId, openJob(challenger, claimId, 1));
        vm.warp(time() + 2 * BUDGET);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.AlreadyRevealed.selector, keyOf(claimId, node)));
        challenges.expire(claimId, node);
    }

    /// @dev The proposer's seconds of a path add up over its nodes.
    function test_A6_latenessAddsUp() external {
        IChallenges.Record memory node = openJob(challenger, claimId, 1);
        vm.warp(time() + BUDGET - 5);
        node = revealJobFrom(proposer, claimId, node);
        IChallenges.Record memory child = openInJobFrom(challenger, claimId, node, Positions.tree(TEXT, 0, 0, 2, 0));
        vm.warp(time() + 5);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.ProposerInTime.selector, BUDGET, BUDGET));
        challenges.expire(claimId, child);
        vm.warp(time() + 1);
        challenges.expire(claimId, child);
    }

    // Money of a fallen claim

    /// @dev Nothing burns, and nobody but the sender is paid, before the settlement.
    function test_A9_theBondWaitsForItsSettlement() external {
        uint256 before = address(challenges).balance;
        (, IChallenges.Verdict memory verdict) = _fell();
        same(address(0).balance, _burned, "burned");
        check(address(challenges).balance > before + BOND, "the bond and prepayments");
        check(verdict.rewardWei < BOND / 4, "the sender was paid");
    }

    /// @dev The reward, the rest burns; who paid for a line has that back.
    function test_A9_noneOfTheBondRefunds() external {
        judge.setGuilty(true);
        (IChallenges.Record[] memory path, IChallenges.Record memory jobNode) = _path();
        check(
            spentOf(path[0]) > 0 && challenges.balanceOf(proposer) == 0,
            "the line's reveals, of a claim not known right"
        );
        IChallenges.Record memory beside = revealJobFrom(proposer, claimId, openJob(attacker, claimId, 1));
        beside = goOnInJob(claimId, beside, Positions.tree(OFFSETS, 0, 0, 2, 0));
        beside = revealTree(proposer, claimId, beside, forestOf(OFFSETS));
        address prover = account("prover");
        vm.recordLogs();
        vm.prank(prover);
        challenges.prove(claimId, path, job(0), 50, "", 0);
        IChallenges.Verdict memory verdict = proven();
        uint256 proverWei = challenges.balanceOf(prover);
        check(proverWei > 0 && proverWei == BOND / 4 - verdict.rewardWei, "the prover's costs are of the rewards");
        same(verdict.senderWei, 0, "and paid at once");

        vm.expectRevert(abi.encodeWithSelector(IChallenges.NotAuthorised.selector, address(this)));
        challenges.reclaim(claimId, beside); // its owner may need it for a declaration
        vm.warp(time() + NAMING);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.TooEarly.selector, time(), time() + 1));
        challenges.settle(claimId, verdict);
        vm.warp(time() + 1);
        uint256 before = challenges.balanceOf(challenger);
        uint256 purseWei = attacker.balance;
        vm.prank(attacker); // anyone
        challenges.settle(claimId, verdict);
        same(slotOf(claimId, path[0]), 0, "paid out");
        (uint256 prepaidWei, uint256 spentWei) = (prepaidOf(path[0]), spentOf(path[0]));
        uint256 backWei = prepaidWei + spentWei + verdict.rewardWei;
        same(challenges.balanceOf(challenger) - before, backWei, "made whole and rewarded");
        same(address(0).balance - _burned, BOND - proverWei - verdict.rewardWei, "all else burned");
        check(challenges.balanceOf(attacker) == 0 && attacker.balance == purseWei, "nothing for others");
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.settle(claimId, verdict); // once

        vm.prank(attacker);
        challenges.reclaim(claimId, beside);
        same(
            challenges.balanceOf(attacker),
            prepaidOf(beside) + spentOf(beside),
            "all that it paid, none of it of the bond"
        );
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.reclaim(claimId, beside);
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.reclaim(claimId, path[0]);
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.reclaim(claimId, jobNode);
        _nothingLeft();
    }

    /// @dev Whoever opens at any price takes nothing of the bond.
    function test_A9_openingsTakeNothingOfTheBond() external {
        vm.fee(20_000 gwei);
        (IChallenges.Record[] memory path,) = _path();
        check(spentOf(path[0]) > BOND, "dearer than the bond");
        judge.setGuilty(true);
        vm.recordLogs();
        challenges.prove(claimId, path, job(0), 50, "", 0);
        IChallenges.Verdict memory verdict = proven();
        same(verdict.rewardWei, 0, "the proof took the rewards");
        same(challenges.balanceOf(address(this)), BOND / 4, "and no more than them");
        vm.warp(time() + NAMING + 1);
        uint256 before = challenges.balanceOf(challenger);
        challenges.settle(claimId, verdict);
        same(challenges.balanceOf(challenger) - before, prepaidOf(path[0]) + spentOf(path[0]), "what was paid");
        same(address(0).balance - _burned, BOND - BOND / 4, "three quarters burn all the same");
        _nothingLeft();
    }

    function test_A9_settlementsBringTheVerdict() external {
        (, IChallenges.Verdict memory verdict) = _fell();
        vm.warp(time() + NAMING + 1);
        verdict.rewardWei += 1;
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.settle(claimId, verdict);
        verdict.rewardWei -= 1;
        verdict.senderWei = 1;
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.settle(claimId, verdict);
        verdict.senderWei = 0;
        verdict.winner = address(this);
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.settle(claimId, verdict);
        verdict.winner = address(0);
        verdict.culprit.funds += 1 << 120;
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.settle(claimId, verdict);
        verdict.culprit.funds -= 1 << 120;
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.settle("x", verdict);
        challenges.settle(claimId, verdict);
    }

    /// @dev A verdict of one fallen claim settles no other, nor does one claim's record take another's money.
    function test_A9_verdictsAreOfOneClaim() external {
        judge.setGuilty(true);
        bytes32 rival = claimDigests(attacker, 0, modelId, topDigests(jobsOf(1)));
        bytes32 root = recordOf(job(0));
        IChallenges.Record memory node = openIn(challenger, claimId, nothing(), jobAt(0), root, none(), 1);
        IChallenges.Record memory twin = openIn(challenger, rival, nothing(), jobAt(0), root, none(), 1);
        vm.warp(time() + BUDGET + 1);
        vm.recordLogs();
        challenges.expire(claimId, node);
        IChallenges.Verdict memory verdict = expired();
        vm.recordLogs();
        challenges.expire(rival, twin);
        IChallenges.Verdict memory second = expired();
        check(verdict.rewardWei != second.rewardWei, "gas differs");
        vm.warp(time() + NAMING + 1);
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.settle(rival, verdict);
        challenges.settle(claimId, verdict);
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.settle(rival, verdict);
        challenges.settle(rival, second);
        _nothingLeft();
    }

    /// @dev The line's owner that sends the proof has its costs with the settlement; what the caller gets is sent to it.
    function test_A9_theOwnerSendsTheProof() external {
        judge.setGuilty(true);
        (IChallenges.Record[] memory path,) = _path();
        vm.recordLogs();
        vm.prank(challenger);
        challenges.prove(claimId, path, job(0), 50, "", 0);
        IChallenges.Verdict memory verdict = proven();
        same(challenges.balanceOf(challenger), 0, "not yet");
        check(verdict.senderWei > 0 && verdict.senderWei + verdict.rewardWei == BOND / 4, "a quarter in all");
        vm.warp(time() + NAMING + 1);
        uint256 before = challenger.balance;
        vm.prank(challenger);
        challenges.settle(claimId, verdict);
        (uint256 prepaidWei, uint256 spentWei) = (prepaidOf(path[0]), spentOf(path[0]));
        same(challenger.balance - before, BOND / 4 + prepaidWei + spentWei, "all at once");
        same(challenges.balanceOf(challenger), 0, "and nothing to withdraw");
        same(address(0).balance - _burned, BOND - BOND / 4, "the rest burned");
        _nothingLeft();
    }

    function test_A9_theOwnerSendsAnExpiry() external {
        IChallenges.Record memory node = openJob(challenger, claimId, 1);
        vm.warp(time() + BUDGET + 1);
        vm.recordLogs();
        vm.prank(challenger);
        challenges.expire(claimId, node);
        IChallenges.Verdict memory verdict = expired();
        check(verdict.senderWei > 0 && verdict.senderWei + verdict.rewardWei == BOND / 4, "a quarter in all");
        vm.warp(time() + NAMING + 1);
        challenges.settle(claimId, verdict); // somebody else: it is on its balance
        same(challenges.balanceOf(challenger), BOND / 4 + prepaidOf(node), "all of it");
        _nothingLeft();
    }

    /// @dev The winner of the reward is sent that only, when it calls.
    function test_A9_theWinnerSettles() external {
        (IChallenges.Record[] memory path, IChallenges.Verdict memory verdict) = _wonByAttacker();
        uint256 before = attacker.balance;
        vm.prank(attacker);
        challenges.settle(claimId, verdict);
        same(attacker.balance - before, verdict.rewardWei, "the reward");
        same(challenges.balanceOf(challenger), prepaidOf(path[0]) + spentOf(path[0]), "the line's");
    }

    function test_A9_theOwnerSettlesForAWinner() external {
        (IChallenges.Record[] memory path, IChallenges.Verdict memory verdict) = _wonByAttacker();
        uint256 before = challenger.balance;
        vm.prank(challenger);
        challenges.settle(claimId, verdict);
        same(challenger.balance - before, prepaidOf(path[0]) + spentOf(path[0]), "the line's");
        same(challenges.balanceOf(attacker), verdict.rewardWei, "the reward");
    }

    /// @dev Who is sent its part can't take it twice, nor what is others'.
    function test_A9_reentrantSettlement() external {
        SettlingOwner owner = new SettlingOwner(challenges);
        (IChallenges.Record memory node, IChallenges.Verdict memory verdict) = _expiredFor(address(owner));
        owner.settle(claimId, verdict, verdict.culprit);
        same(owner.tried(), 4, "it was paid, and tried all");
        same(address(owner).balance, verdict.rewardWei + prepaidOf(node), "once");
        _nothingLeft();
    }

    /// @dev Who can't be sent anything has it on its balance when somebody else settles.
    function test_A9_ownersThatTakeNothing() external {
        Refuser refuser = new Refuser();
        (IChallenges.Record memory node, IChallenges.Verdict memory verdict) = _expiredFor(address(refuser));
        uint256 amountWei = verdict.rewardWei + prepaidOf(node);
        vm.prank(address(refuser));
        vm.expectRevert(abi.encodeWithSelector(IChallenges.TransferFailed.selector, address(refuser), amountWei));
        challenges.settle(claimId, verdict);
        challenges.settle(claimId, verdict);
        same(challenges.balanceOf(address(refuser)), amountWei, "owed");
    }

    // A10: declarations

    function test_A10_theEarliestDeclarationTakesTheReward() external {
        judge.setGuilty(true);
        (IChallenges.Record[] memory path,) = _path();
        (IChallenges.Record[] memory other,) = _pathOf(attacker);
        bytes32 first = _declare(path[0].position, challenger, "first");
        vm.warp(time() + 1);
        _declare(path[0].position, attacker, "second");
        vm.warp(time() + 1);
        // The proof is stolen, and sent for a line and with a declaration of the thief.
        IFaults.Job memory job_ = job(0);
        vm.prank(attacker);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.NotAuthorised.selector, attacker));
        challenges.prove(claimId, path, job_, 50, "", "second"); // of others' lines there are no own declarations
        vm.recordLogs();
        vm.prank(attacker);
        challenges.prove(claimId, other, job_, 50, "", "second");
        IChallenges.Verdict memory verdict = proven();
        check(verdict.winner == attacker && verdict.declaredAt + 1 == time(), "so far");
        vm.expectPartialRevert(IChallenges.BadDeclaration.selector);
        challenges.redeem(claimId, verdict, path[0], "second");
        vm.expectPartialRevert(IChallenges.NotEarlier.selector);
        challenges.redeem(claimId, verdict, other[0], "second");
        vm.recordLogs();
        challenges.redeem(claimId, verdict, path[0], "first");
        IChallenges.Verdict memory next = redeemed();
        check(next.winner == challenger && next.declaredAt == challenges.declaredAt(first), "earlier");
        same(slotOf(claimId, other[0]), hashOf(claimId, next), "kept");
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.redeem(claimId, verdict, path[0], "first"); // that verdict is no more
        verdict = next;
        vm.expectPartialRevert(IChallenges.NotEarlier.selector);
        challenges.redeem(claimId, verdict, path[0], "first");
        vm.warp(time() + NAMING + 1);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.TooLate.selector, time(), time() - 1));
        challenges.redeem(claimId, verdict, path[0], "first");
        uint256 before = challenges.balanceOf(challenger);
        challenges.settle(claimId, verdict);
        same(challenges.balanceOf(challenger) - before, verdict.rewardWei, "all of the reward");
        uint256 backWei = prepaidOf(other[0]) + spentOf(other[0]) + verdict.senderWei;
        same(challenges.balanceOf(attacker), backWei, "what the line and the proof took");
        vm.prank(challenger);
        challenges.reclaim(claimId, path[0]);
        backWei = verdict.rewardWei + prepaidOf(path[0]) + spentOf(path[0]);
        same(challenges.balanceOf(challenger) - before, backWei, "and what its line took");
        _nothingLeft();
    }

    /// @dev A thief that proves by the finder's own line, without its declaration, gains nothing: the owner can still name it.
    function test_A10_theOwnerNamesItsDeclarationAfterTheFall() external {
        judge.setGuilty(true);
        (IChallenges.Record[] memory path,) = _path();
        (IChallenges.Record[] memory other,) = _pathOf(attacker);
        _declare(path[0].position, challenger, "first");
        vm.warp(time() + 1);
        _declare(path[0].position, attacker, "second");
        vm.warp(time() + 1);
        vm.recordLogs();
        vm.prank(attacker);
        challenges.prove(claimId, path, job(0), 50, "", 0);
        IChallenges.Verdict memory verdict = proven();
        vm.recordLogs();
        challenges.redeem(claimId, verdict, other[0], "second");
        verdict = redeemed();
        same(verdict.winner, attacker, "so far");
        // Not by the record with anything changed in it, nor one that the slot never held.
        IChallenges.Record memory own = abi.decode(abi.encode(path[0]), (IChallenges.Record));
        own.times += 1 << 16;
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.redeem(claimId, verdict, own, "first");
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.redeem(claimId, verdict, path[1], "first");
        vm.recordLogs();
        challenges.redeem(claimId, verdict, path[0], "first");
        same(redeemed().winner, challenger, "the finder");
    }

    /// @dev A declaration counts of who has the node in a line of its own, and nowhere else.
    function test_A10_onlyOfOwnLines() external {
        judge.setGuilty(true);
        (IChallenges.Record[] memory path,) = _path();
        // The attacker's line is at the parent, another's moved on, a third's waits.
        IChallenges.Record memory above = revealJobFrom(proposer, claimId, openJob(attacker, claimId, 1));
        above = goOnInJob(claimId, above, Positions.posted(PROMPT, 0, 0, 0, 0, 0, 0));
        above = revealPostedFrom(proposer, claimId, above);
        address late = account("prover");
        IChallenges.Record memory waiting = openFrom(late, claimId, above, path[0].position, 0, none());
        _declare(path[0].position, attacker, "blind");
        _declare(path[0].position, late, "blind");
        vm.warp(time() + 1);
        vm.recordLogs();
        challenges.prove(claimId, path, job(0), 50, "", 0);
        IChallenges.Verdict memory verdict = proven();
        vm.expectRevert(
            abi.encodeWithSelector(IChallenges.BadPosition.selector, "position", above.position, path[0].position)
        );
        challenges.redeem(claimId, verdict, above, "blind");
        // A record that says it is elsewhere is none.
        above.position = path[0].position;
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.redeem(claimId, verdict, above, "blind");
        // It has not seen what showed the fault.
        vm.expectRevert(abi.encodeWithSelector(IChallenges.NotRevealed.selector, keyOf(claimId, waiting)));
        challenges.redeem(claimId, verdict, waiting, "blind");
        // The finder's record doesn't serve another's declaration.
        vm.expectPartialRevert(IChallenges.BadDeclaration.selector);
        challenges.redeem(claimId, verdict, path[0], "blind");
    }

    /// @dev Of what nobody revealed the opening counts.
    function test_A10_declarationsOfSilence() external {
        IChallenges.Record memory node = openJob(challenger, claimId, 1);
        _declare(node.position, attacker, "early");
        vm.warp(time() + 2);
        IChallenges.Record memory own = openJob(attacker, claimId, 1);
        _declare(own.position, attacker, "after");
        vm.warp(time() + BUDGET);
        vm.recordLogs();
        challenges.expire(claimId, node);
        IChallenges.Verdict memory verdict = expired();
        vm.expectPartialRevert(IChallenges.BadDeclaration.selector);
        challenges.redeem(claimId, verdict, own, "early");
        vm.recordLogs();
        challenges.redeem(claimId, verdict, own, "after");
        same(redeemed().winner, attacker, "after its own opening");
    }

    /// @dev A declaration of the block of the proof, or from before the node was revealed, says nothing about who found the fault.
    function test_A10_neitherTooLateNorTooEarly() external {
        judge.setGuilty(true);
        _declare(jobAt(0), attacker, "blind");
        vm.warp(time() + 1);
        IChallenges.Record memory node = openJob(attacker, claimId, 1);
        _declare(jobAt(0), attacker, "still blind");
        // Another's is revealed already: its own counts.
        IChallenges.Record memory other = revealJobFrom(proposer, claimId, openJob(challenger, claimId, 1));
        vm.warp(time() + 1);
        node = revealJobFrom(proposer, claimId, node);
        IChallenges.Record[] memory path = _only(node);
        IFaults.Job memory job_ = job(0);
        _declare(jobAt(0), attacker, "same block");
        _early(path, job_, "blind");
        _early(path, job_, "still blind");
        _early(path, job_, "same block");
        path = _only(other);
        vm.recordLogs();
        challenges.prove(claimId, path, job_, 50, "", 0);
        IChallenges.Verdict memory verdict = proven();
        vm.expectPartialRevert(IChallenges.BadDeclaration.selector);
        challenges.redeem(claimId, verdict, node, "blind");
        vm.expectPartialRevert(IChallenges.BadDeclaration.selector);
        challenges.redeem(claimId, verdict, node, "still blind");
        vm.expectPartialRevert(IChallenges.BadDeclaration.selector);
        challenges.redeem(claimId, verdict, node, "same block");
    }

    function _early(IChallenges.Record[] memory path, IFaults.Job memory job_, bytes32 salt) private {
        vm.prank(attacker);
        vm.expectPartialRevert(IChallenges.BadDeclaration.selector);
        challenges.prove(claimId, path, job_, 50, "", salt);
    }

    function test_A10_declarationsAreKeptOnce() external {
        bytes32 declaration = _declare(77, challenger, "salt");
        bytes32 expected = sha256(
            abi.encode(
                bytes32("sworn/declaration/1"),
                block.chainid,
                address(challenges),
                claimId,
                uint256(77),
                challenger,
                bytes32("salt")
            )
        );
        same(declaration, expected, "hash");
        same(challenges.declaredAt(declaration), time(), "time");
        vm.warp(time() + 1);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.AlreadyDeclared.selector, declaration));
        challenges.declare(declaration);
        same(challenges.declaredAt(declaration) + 1, time(), "as it was");
    }

    // A7 and A22: deposits, and claims that did not fall

    function test_A7_depositsOfARightClaimAreItsProposers() external {
        IChallenges.Record memory node = _late();
        uint256 before = challenges.balanceOf(proposer);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.NotDecided.selector, claimId));
        challenges.reclaim(claimId, node);
        vm.warp(challenges.stateOf(claimId).aliveUntil + 1);
        claims.finalise(claimId);
        challenges.reclaim(claimId, node);
        same(challenges.balanceOf(proposer) - before, BOND / 10 + spentOf(node), "for the delay, and the reveal");
        same(challenges.balanceOf(attacker), prepaidOf(node), "the rest of the prepayment");
    }

    function test_A7_depositsComeBackWhenTheClaimFalls() external {
        judge.setGuilty(true);
        IChallenges.Record memory jobNode = revealJobFrom(proposer, claimId, openJob(challenger, claimId, 1));
        vm.warp(claims.claimOf(claimId).windowEnd);
        IChallenges.Record memory node = openInJobFrom(attacker, claimId, jobNode, Positions.tree(TEXT, 0, 0, 2, 0));
        IChallenges.Record memory culprit =
            openInJobFrom(challenger, claimId, jobNode, Positions.tree(OFFSETS, 0, 0, 2, 0));
        culprit = revealTree(proposer, claimId, culprit, forestOf(OFFSETS));
        IChallenges.Record[] memory path = _two(culprit, jobNode);
        vm.recordLogs();
        challenges.prove(claimId, path, job(0), 50, "", 0);
        IChallenges.Verdict memory verdict = proven();
        vm.warp(time() + NAMING + 1);
        uint256 before = challenges.balanceOf(challenger);
        challenges.settle(claimId, verdict);
        uint256 backWei = prepaidOf(culprit) + spentOf(culprit) + verdict.rewardWei + BOND / 10;
        same(challenges.balanceOf(challenger) - before, backWei, "the line's deposit");
        vm.prank(challenger);
        challenges.reclaim(claimId, jobNode);
        backWei += prepaidOf(jobNode) + spentOf(jobNode);
        same(challenges.balanceOf(challenger) - before, backWei, "all of its other line");
        vm.prank(attacker);
        challenges.reclaim(claimId, node);
        same(challenges.balanceOf(attacker), prepaidOf(node) + BOND / 10, "and that of a node that waits");
        _nothingLeft();
    }

    /// @dev When another claim of the lane is final: an equal one was right, an unequal one wrong.
    function test_A22_supersededClaims() external {
        IChallenges.Record memory node = _late();
        bytes32 rival = claimDigests(challenger, 0, modelId, topDigests(jobsOf(1)));
        vm.warp(claims.claimOf(rival).windowEnd + 1);
        claims.finalise(rival);
        uint256 before = challenges.balanceOf(proposer);
        challenges.reclaim(claimId, node); // even before somebody resolves it
        same(challenges.balanceOf(proposer) - before, BOND / 10 + spentOf(node), "an equal one is delayed");
        claims.resolveRival(claimId);
        _nothingLeftOf(claimId);
    }

    function test_A22_supersededWrongClaims() external {
        bytes32 rival = claimDigests(challenger, 0, modelId, one("another job"));
        vm.warp(claims.claimOf(rival).windowEnd - 1);
        uint256 price = priceFor(rival, nothing(), jobAt(0));
        vm.deal(attacker, price);
        vm.recordLogs();
        vm.prank(attacker);
        challenges.open{value: price}(rival, nothing(), jobAt(0), "another job", none(), 0);
        IChallenges.Record memory node = opened();
        vm.warp(time() + 10);
        claims.finalise(claimId);
        challenges.reclaim(rival, node);
        same(challenges.balanceOf(attacker), price, "all back");
        // What waits on it can't fell it any more.
        vm.warp(time() + BUDGET);
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.expire(rival, node);
    }

    function test_A22_aFinalLaneIsOver() external {
        bytes32 rival = claimDigests(challenger, 0, modelId, one("another job"));
        uint256 price = priceFor(rival, nothing(), jobAt(0));
        vm.recordLogs();
        vm.deal(address(this), price);
        challenges.open{value: price}(rival, nothing(), jobAt(0), "another job", none(), 0);
        IChallenges.Record memory node = opened();
        passWindow();
        claims.finalise(claimId);
        vm.expectRevert(abi.encodeWithSelector(IClaims.LaneIsFinal.selector, claimId));
        challenges.expire(rival, node);
    }

    // Money leaves by withdrawals

    function test_withdraw() external {
        judge.setGuilty(true);
        (IChallenges.Record[] memory path,) = _path();
        IFaults.Job memory job_ = job(0);
        vm.prank(attacker);
        challenges.prove(claimId, path, job_, 50, "", 0);
        uint256 balance = challenges.balanceOf(attacker);
        check(balance > 0, "of the proof");
        vm.startPrank(attacker);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.ZeroReceiver.selector));
        challenges.withdraw(payable(address(0)));
        address purse = account("purse");
        vm.expectEmit(address(challenges));
        emit IChallenges.Withdrawn(attacker, purse, balance);
        challenges.withdraw(payable(purse));
        same(purse.balance, balance, "paid");
        vm.expectRevert(abi.encodeWithSelector(IChallenges.NothingToWithdraw.selector, attacker));
        challenges.withdraw(payable(purse));
        vm.stopPrank();
        vm.deal(address(this), 1);
        vm.expectRevert();
        payable(address(challenges)).transfer(1); // takes bonds only
    }

    function test_reentrantWithdraw() external {
        Grabber grabber = new Grabber();
        judge.setGuilty(true);
        (IChallenges.Record[] memory path,) = _path();
        IFaults.Job memory job_ = job(0);
        vm.prank(address(grabber));
        challenges.prove(claimId, path, job_, 50, "", 0);
        uint256 balance = challenges.balanceOf(address(grabber));
        check(balance > 0, "of the proof");
        grabber.grab(address(challenges));
        same(address(grabber).balance, balance, "once");
    }

    function test_configuration() external {
        same(address(challenges.claims()), address(claims), "claims");
        same(address(challenges.inbox()), address(inbox), "inbox");
        same(address(challenges.faults()), address(judge), "faults");
        same(challenges.budgetSeconds(), BUDGET, "budget");
        same(challenges.graceSeconds(), GRACE, "grace");
        same(challenges.declarationSeconds(), NAMING, "naming");
        check(address(challenges.rules()).code.length > 0, "rules");
        // EIP-170.
        check(address(challenges).code.length <= 24_576, "can be deployed");
        check(address(challenges.rules()).code.length <= 24_576, "and its rules");
        vm.expectRevert();
        make("Challenges", abi.encode(claims, inbox, judge, 0, GRACE, NAMING));
        vm.expectRevert();
        make("Challenges", abi.encode(claims, inbox, judge, BUDGET, GRACE, 0));
        vm.expectRevert();
        make("Challenges", abi.encode(claims, inbox, judge, BUDGET, BUDGET - 1, NAMING));
        make("Challenges", abi.encode(claims, inbox, judge, BUDGET, BUDGET, NAMING));
    }

    // What the tests above say often

    /// @dev The lowest node of a line and its parent, and the job that they are under, all revealed.
    function _path() private returns (IChallenges.Record[] memory path, IChallenges.Record memory jobNode) {
        return _pathOf(challenger);
    }

    function _pathOf(address who)
        private
        returns (IChallenges.Record[] memory path, IChallenges.Record memory jobNode)
    {
        path = new IChallenges.Record[](2);
        jobNode = revealJobFrom(proposer, claimId, openJob(who, claimId, 1));
        path[1] = goOnInJob(claimId, jobNode, Positions.posted(PROMPT, 0, 0, 0, 0, 0, 0));
        path[1] = revealPostedFrom(proposer, claimId, path[1]);
        path[0] = goOn(claimId, path[1], Positions.posted(STARTS, 0, 0, 1, 0, 0, 0), 0, none());
        path[0] = revealPostedFrom(proposer, claimId, path[0]);
    }

    function _fell() private returns (IChallenges.Record[] memory path, IChallenges.Verdict memory verdict) {
        judge.setGuilty(true);
        (path,) = _path();
        vm.recordLogs();
        challenges.prove(claimId, path, job(0), 50, "", 0);
        verdict = proven();
    }

    /// @dev Shown in the challenger's line, declared by the attacker; to be settled.
    function _wonByAttacker() private returns (IChallenges.Record[] memory path, IChallenges.Verdict memory verdict) {
        judge.setGuilty(true);
        (path,) = _path();
        (IChallenges.Record[] memory other,) = _pathOf(attacker);
        _declare(path[0].position, attacker, "salt");
        vm.warp(time() + 1);
        vm.recordLogs();
        challenges.prove(claimId, path, job(0), 50, "", 0);
        verdict = proven();
        vm.recordLogs();
        challenges.redeem(claimId, verdict, other[0], "salt");
        verdict = redeemed();
        vm.warp(time() + NAMING + 1);
    }

    /// @dev A node of that account's was not revealed; somebody else said so; to be settled.
    function _expiredFor(address who)
        private
        returns (IChallenges.Record memory node, IChallenges.Verdict memory verdict)
    {
        node = openJob(who, claimId, 1);
        vm.warp(time() + BUDGET + 1);
        vm.recordLogs();
        challenges.expire(claimId, node);
        verdict = expired();
        vm.warp(time() + NAMING + 1);
    }

    /// @dev A late node of the attacker's, revealed.
    function _late() private returns (IChallenges.Record memory node) {
        IChallenges.Record memory jobNode = revealJobFrom(proposer, claimId, openJob(challenger, claimId, 1));
        vm.warp(claims.claimOf(claimId).windowEnd);
        node = openInJobFrom(attacker, claimId, jobNode, Positions.tree(TEXT, 0, 0, 2, 0));
        node = revealTree(account("helper"), claimId, node, new bytes32[][](0));
    }

    function _declare(uint256 position, address who, bytes32 salt) private returns (bytes32 declaration) {
        declaration = challenges.declarationOf(claimId, position, who, salt);
        vm.prank(who);
        challenges.declare(declaration);
    }

    function _only(IChallenges.Record memory record) private pure returns (IChallenges.Record[] memory path) {
        path = new IChallenges.Record[](1);
        path[0] = record;
    }

    function _two(IChallenges.Record memory node, IChallenges.Record memory parent)
        private
        pure
        returns (IChallenges.Record[] memory path)
    {
        path = new IChallenges.Record[](2);
        (path[0], path[1]) = (node, parent);
    }

    /// @dev A copy with a bit of one of a record's words flipped.
    function _changed(IChallenges.Record[] memory path, uint256 i, uint256 word)
        private
        pure
        returns (IChallenges.Record[] memory copy)
    {
        copy = abi.decode(abi.encode(path), (IChallenges.Record[]));
        IChallenges.Record memory record = copy[i];
        assembly ("memory-safe") {
            let at_ := add(record, shl(5, word))
            mstore(at_, xor(mload(at_), 1))
        }
    }

    function _wrongRecord(IChallenges.Record[] memory path) private {
        IFaults.Job memory job_ = job(0);
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.prove(claimId, path, job_, 50, "", 0);
    }

    /// @dev All that is here is somebody's balance.
    function _nothingLeft() private {
        uint256 sum = challenges.balanceOf(proposer) + challenges.balanceOf(challenger) + challenges.balanceOf(attacker);
        sum += challenges.balanceOf(account("prover")) + challenges.balanceOf(address(this));
        same(address(challenges).balance, sum, "nothing stuck");
    }

    /// @dev After the job's opener has its rest as well.
    function _nothingLeftOf(bytes32 id) private {
        check(challenges.stateOf(id).windowEnd != 0, "opened");
        uint256 left = address(challenges).balance - challenges.balanceOf(proposer) - challenges.balanceOf(attacker)
            - challenges.balanceOf(account("helper"));
        check(left > 0, "the job's prepayment only");
    }
}
