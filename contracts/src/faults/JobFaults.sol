// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IFaults} from "../interfaces/IFaults.sol";
import {IInbox} from "../interfaces/IInbox.sol";
import {IModels} from "../interfaces/IModels.sol";
import {IVouchers} from "../interfaces/IVouchers.sol";
import {Machine} from "../libraries/Machine.sol";
import {ParamsWord} from "../libraries/ParamsWord.sol";
import {Positions} from "../libraries/Positions.sol";
import {Programs} from "../libraries/Programs.sol";

/// @title Faults of a job's fields
/// @notice `prover/SPEC.md` section 10.3. What decides is on chain: the lane's input, its parameters, the model's context.
contract JobFaults is IFaults {
    /// @notice 17. Fault 16 has an empty witness.
    struct RunShape {
        uint256 run;
    }

    /// @dev The longest piece, in bytes.
    uint256 private constant PIECE_BYTES = type(uint16).max;

    IModels public immutable models;
    IInbox public immutable inbox;

    constructor(IModels models_, IInbox inbox_) {
        (models, inbox) = (models_, inbox_);
    }

    /// @inheritdoc IFaults
    function isFault(Case calldata c, uint8 fault, bytes calldata witness) external view returns (bool) {
        if (fault != Machine.FAULT_EXPANSION && fault != Machine.FAULT_RUN_SHAPE) revert UnknownFault(fault);
        if (Positions.kind(c.node.position) != Machine.NODE_JOB) revert WrongNode(fault, c.node.position);
        uint256 inputId = inbox.laneInput(c.epoch, c.modelId, Positions.lane(c.node.position));
        IInbox.Params memory params = ParamsWord.unpack(inbox.input(inputId).params);
        if (fault == Machine.FAULT_EXPANSION) {
            return c.job.inputId != inputId || c.job.runs.length != params.nRuns || c.job.scoreRoot != 0;
        }
        if (witness.length != 32) revert BadWitness("length");
        uint256 run = abi.decode(witness, (RunShape)).run;
        if (run >= c.job.runs.length) revert BadWitness("run");
        (address program,,) = models.commitmentsOf(c.modelId);
        return _misshapen(c.job.runs[run], params, Programs.load(program).context);
    }

    /// @dev Whether no run of the input has such fields.
    function _misshapen(IVouchers.Run calldata run, IInbox.Params memory params, uint256 context)
        private
        pure
        returns (bool)
    {
        uint256 nPrompt = run.nPrompt;
        if (nPrompt == 0 || run.nTokens < nPrompt || run.score != 0 || run.greedy) return true;
        uint256 fresh = run.nTokens - nPrompt;
        if (run.finish == Machine.FINISH_TOO_LONG) {
            // One token may be the BOS of a malformed payload.
            if (fresh != 0 || (nPrompt <= context && nPrompt != 1)) return true;
        } else {
            if (nPrompt > context) return true;
            uint256 most = _limit(params, nPrompt, context);
            if (run.finish == Machine.FINISH_LENGTH) {
                if (fresh != most) return true;
            } else if (run.finish == Machine.FINISH_STOP) {
                if (fresh == 0 || fresh > most) return true;
            } else {
                return true;
            }
        }
        if (run.textLength > PIECE_BYTES * fresh) return true;
        if (fresh == 0 && run.offsetsRoot != 0) return true;
        return run.textLength == 0 && run.textRoot != 0;
    }

    /// @dev Section 5: the most new tokens; nPrompt <= context.
    function _limit(IInbox.Params memory params, uint256 nPrompt, uint256 context) private pure returns (uint256 most) {
        most = context - nPrompt;
        if (params.maxNewTokens != 0 && params.maxNewTokens < most) most = params.maxNewTokens;
        if (params.maxTotalTokens != 0) {
            uint256 rest = params.maxTotalTokens > nPrompt ? params.maxTotalTokens - nPrompt : 0;
            if (rest < most) most = rest;
        }
    }
}
