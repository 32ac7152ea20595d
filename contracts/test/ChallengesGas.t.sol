// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IChallenges} from "../src/interfaces/IChallenges.sol";
import {IFaults} from "../src/interfaces/IFaults.sol";
import {Positions} from "../src/libraries/Positions.sol";
import {Arena} from "./utils/Arena.sol";
import {Forest} from "./utils/Forest.sol";

/// @title What challenges cost
/// @notice Writes snapshots/Challenges.json: gas of whole transactions, calldata and the 21,000 included.
/// forge-config: default.isolate = true
contract ChallengesGasTest is Arena {
    using Forest for bytes32[][];

    uint32 private constant LANES = 16;
    bytes32 private claimId;

    function setUp() external {
        deployArena();
        claimId = claimed(LANES);
        // As on any chain that has run for a while: what burns makes no new account.
        vm.deal(address(0), 1);
    }

    function test_gasOfADispute() external {
        bytes32[] memory digests = topDigests(jobsOf(LANES));
        bytes32 accumulator = inbox.accumulatorAt(0);
        vm.deal(attacker, 100 ether);
        vm.prank(attacker);
        claims.claim{value: BOND}(0, modelId, accumulator, digests);
        vm.snapshotGasLastCall("Challenges", "Claims.claim, 16 inputs, second of its lane");
        bytes32[][] memory forest = traceForest();
        IChallenges.Record memory parent = openJob(challenger, claimId, LANES);
        _check("open, job of 16", 120_000);
        parent = revealJobFrom(proposer, claimId, parent);
        _check("revealJob, 3 runs", 190_000);
        uint256 leaf = (260 << ROW_DEPTH) + 5;
        parent = openInJobIn(
            challenger,
            claimId,
            parent,
            _trace(TRACE_TOP, leaf >> TRACE_TOP),
            forest[TRACE_TOP][leaf >> TRACE_TOP],
            forest.path(TRACE_TOP, leaf >> TRACE_TOP, JOB_LEVELS),
            numberOf(parent)
        );
        _check("openInJob, trace", 75_000);
        parent = revealTree(proposer, claimId, parent, forest);
        _check("revealDigests, 16", 85_000);
        parent = goOn(claimId, parent, _trace(6, leaf >> 6), forest[6][leaf >> 6], forest.path(6, leaf >> 6, 4));
        _check("open, 4 levels", 60_000);
        parent = revealTree(proposer, claimId, parent, forest);
        _check("revealDigests, 14", 80_000);
        parent = goOn(claimId, parent, _trace(2, leaf >> 2), forest[2][leaf >> 2], forest.path(2, leaf >> 2, 4));
        parent = revealTree(proposer, claimId, parent, forest);
        _check("revealLeaves, 4", 90_000);
        IChallenges.Record memory node =
            goOn(claimId, parent, Positions.posted(TOTALS, LANES - 1, 0, 260, 7, 3, 0), 0, none());
        _check("open, totals", 90_000);
        node = revealPostedFrom(proposer, claimId, node);
        _check("revealPosted, 8 bytes", 70_000);
        _endOf(node, parent);
    }

    function _endOf(IChallenges.Record memory node, IChallenges.Record memory parent) private {
        bytes32 declaration = challenges.declarationOf(claimId, node.position, challenger, "salt");
        vm.prank(challenger);
        challenges.declare(declaration);
        _check("declare", 48_000);
        vm.warp(time() + 1);
        judge.setGuilty(true);
        IChallenges.Record[] memory two = new IChallenges.Record[](2);
        (two[0], two[1]) = (node, parent);
        IFaults.Job memory job_ = job(LANES - 1);
        vm.recordLogs();
        vm.prank(challenger);
        challenges.prove(claimId, two, job_, 65, new bytes(500), "salt");
        _check("prove, without the judge", 125_000);
        IChallenges.Verdict memory verdict = proven();
        vm.warp(time() + NAMING + 1);
        vm.prank(challenger);
        challenges.settle(claimId, verdict);
        _check("settle", 65_000);
    }

    function _trace(uint256 height, uint256 index) private pure returns (uint256) {
        return Positions.tree(TRACE, LANES - 1, 0, uint8(height), uint64(index));
    }

    function _check(string memory name, uint256 most) private {
        uint256 used = vm.snapshotGasLastCall("Challenges", name);
        if (used > most) revert UintsDiffer(name, used, most);
    }
}
