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
        IChallenges.Record[] memory path = new IChallenges.Record[](5);
        path[4] = openJob(challenger, claimId, LANES);
        _check("open, job of 16", 120_000);
        path[4] = revealJobFrom(proposer, claimId, path[4]);
        _check("revealJob, 3 runs", 190_000);
        path[3] = openInJobFrom(challenger, claimId, path[4], _trace(TRACE_DEPTH, 0));
        _check("openInJob, trace", 100_000);
        path[3] = revealTree(proposer, claimId, path[3], forest);
        _check("revealDigests, 38 of 64", 130_000);
        uint256 leaf = (260 << ROW_DEPTH) + 5;
        path[2] = openFrom(
            challenger, claimId, path[3], _trace(8, leaf >> 8), forest[8][leaf >> 8], forest.path(8, leaf >> 8, 6)
        );
        _check("open, 6 levels", 70_000);
        path[2] = revealTree(proposer, claimId, path[2], forest);
        _check("revealDigests, 56 of 64", 130_000);
        path[1] = openFrom(
            challenger, claimId, path[2], _trace(2, leaf >> 2), forest[2][leaf >> 2], forest.path(2, leaf >> 2, 6)
        );
        path[1] = revealTree(proposer, claimId, path[1], forest);
        _check("revealLeaves, 4", 130_000);
        path[0] =
            openFrom(challenger, claimId, path[1], Positions.posted(TOTALS, LANES - 1, 0, 260, 7, 3, 0), 0, none());
        _check("open, totals", 130_000);
        path[0] = revealPostedFrom(proposer, claimId, path[0]);
        _check("revealPosted, 8 bytes", 100_000);
        _endOf(path);
    }

    function _endOf(IChallenges.Record[] memory path) private {
        bytes32 declaration = challenges.declarationOf(claimId, keyOf(claimId, path[0]), challenger, "salt");
        vm.prank(challenger);
        challenges.declare(declaration);
        _check("declare", 48_000);
        vm.warp(time() + 1);
        judge.setGuilty(true);
        IChallenges.Record[] memory three = new IChallenges.Record[](3);
        (three[0], three[1], three[2]) = (path[0], path[1], path[4]);
        IFaults.Job memory job_ = job(LANES - 1);
        vm.recordLogs();
        vm.prank(challenger);
        challenges.prove(claimId, three, job_, 65, new bytes(500), "salt");
        _check("prove, without the judge", 125_000);
        IChallenges.Verdict memory verdict = proven();
        vm.warp(time() + NAMING + 1);
        IChallenges.Record[] memory ancestors = new IChallenges.Record[](4);
        for (uint256 i = 0; i < 4; ++i) {
            ancestors[i] = path[i + 1];
        }
        challenges.settle(claimId, verdict, ancestors);
        _check("settle, a path of 5", 100_000);
    }

    function _trace(uint256 height, uint256 index) private pure returns (uint256) {
        return Positions.tree(TRACE, LANES - 1, 0, uint8(height), uint64(index));
    }

    function _check(string memory name, uint256 most) private {
        uint256 used = vm.snapshotGasLastCall("Challenges", name);
        if (used > most) revert UintsDiffer(name, used, most);
    }
}
