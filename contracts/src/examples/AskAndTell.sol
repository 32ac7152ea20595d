// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IInbox} from "../interfaces/IInbox.sol";
import {ISwornRecipient} from "../interfaces/ISwornRecipient.sol";
import {Machine} from "../libraries/Machine.sol";
import {Payload} from "../libraries/Payload.sol";

/// @title Ask and tell: a contract that asks a model and keeps its answer
/// @notice The least a consumer does: submit with itself as recipient, and take answers from the vouchers contract only.
contract AskAndTell is ISwornRecipient {
    /// @notice Longer answers are in the event `Told` only.
    uint256 public constant MAX_STORED_BYTES = 512;

    IInbox public immutable inbox;
    address public immutable vouchers;

    mapping(uint256 inputId => address) public askerOf;
    /// @notice The first bytes of an answer, up to `MAX_STORED_BYTES`.
    mapping(uint256 inputId => string) public answerOf;

    event Asked(uint256 indexed inputId, address indexed asker, string question);
    event Told(uint256 indexed inputId, address indexed asker, uint32 chunk, uint32 nChunks, string answer);

    error NotVouchers(address caller);
    error UnknownQuestion(uint256 inputId);

    constructor(IInbox inbox_, address vouchers_) {
        inbox = inbox_;
        vouchers = vouchers_;
    }

    /// @notice Asks a model at temperature 0; `msg.value` pays (see `quote`). Change and refunds are the asker's, at the
    /// fees contract.
    function ask(bytes32 modelId, string calldata question, uint32 maxNewTokens)
        external
        payable
        returns (uint256 inputId)
    {
        inputId = inbox.submitFor{value: msg.value}(
            msg.sender, modelId, _params(maxNewTokens), Payload.ofText(question), address(this)
        );
        askerOf[inputId] = msg.sender;
        emit Asked(inputId, msg.sender, question);
    }

    /// @notice What `ask` costs.
    function quote(bytes32 modelId, uint256 questionBytes, uint32 maxNewTokens) external view returns (uint256) {
        bytes32 params = inbox.packParams(_params(maxNewTokens));
        return inbox.fees().quote(modelId, params, Payload.TEXT_OVERHEAD + questionBytes);
    }

    /// @inheritdoc ISwornRecipient
    function onSwornResponse(Response calldata response, bytes calldata text) external {
        if (msg.sender != vouchers) revert NotVouchers(msg.sender);
        address asker = askerOf[response.inputId];
        if (asker == address(0)) revert UnknownQuestion(response.inputId);
        if (response.chunk == 0) {
            uint256 kept = text.length < MAX_STORED_BYTES ? text.length : MAX_STORED_BYTES;
            answerOf[response.inputId] = string(text[:kept]);
        }
        emit Told(response.inputId, asker, response.chunk, response.nChunks, string(text));
    }

    function _params(uint32 maxNewTokens) private pure returns (IInbox.Params memory) {
        return IInbox.Params({
            kind: Machine.KIND_GENERATE,
            nRuns: 1,
            maxNewTokens: maxNewTokens,
            maxTotalTokens: 0,
            temperatureMilli: 0,
            topK: 0,
            topPPpm: uint32(Machine.PPM),
            minPPpm: 0
        });
    }
}
