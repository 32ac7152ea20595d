// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IInbox} from "./IInbox.sol";
import {ISwornRecipient} from "./ISwornRecipient.sol";

/// @title The application: prompts, posted responses, rankings
interface IPrompts is ISwornRecipient {
    struct PromptRecord {
        address author;
        uint64 askedAt; // seconds
        bytes32 modelId;
        bytes32 params; // packed word
        bytes32 payloadRoot;
        uint64 payloadLength;
        uint16 nRuns;
        uint16 nPosted; // runs whose text arrived whole
        uint32 nRankers;
    }

    struct PostedResponse {
        bool posted;
        uint8 finish;
        uint32 promptTokens;
        uint32 newTokens;
        uint64 postedAt; // seconds; of the last chunk
        uint64 textLength;
        bytes32 textRoot;
        bytes32 claimId;
    }

    struct Ranking {
        address ranker;
        uint64 rankedAt; // seconds
        uint32 sequence; // 1 for the first ranking of this ranker, rising with every re-rank
        bool allBad;
        uint8[] places; // places[i] is the place of response i; 1 is best; ties share a place; no place below the largest is left out
    }

    event PromptAsked(uint256 indexed inputId, address indexed author, bytes32 indexed modelId, bytes32 params);
    event ResponsePosted(
        uint256 indexed inputId,
        uint32 indexed run,
        uint32 chunk,
        uint32 nChunks,
        uint8 finish,
        bytes32 claimId,
        bytes text
    );
    event AllResponsesPosted(uint256 indexed inputId);
    event Ranked(uint256 indexed inputId, address indexed ranker, uint32 sequence, bool allBad, uint8[] places);

    error UnknownPrompt(uint256 inputId);
    error NotVouchers(address caller);
    error NotAllPosted(uint256 inputId, uint16 posted, uint16 expected);
    error WrongPlaceCount(uint256 found, uint256 expected);
    error NotARanking(uint256 index, uint8 found);

    /// @notice Asks in one text segment; `msg.value` pays (see `quote`).
    function ask(bytes32 modelId, string calldata text, IInbox.Params calldata params)
        external
        payable
        returns (uint256 inputId);
    /// @notice Asks with a payload of several segments.
    function askSegments(bytes32 modelId, bytes calldata payload, IInbox.Params calldata params)
        external
        payable
        returns (uint256 inputId);
    /// @notice Price of a text prompt of `textBytes` bytes.
    function quote(bytes32 modelId, uint256 textBytes, IInbox.Params calldata params)
        external
        view
        returns (uint256 priceWei);
    /// @notice Ranks all responses of a prompt; a later call by the same account replaces the earlier one.
    function rank(uint256 inputId, uint8[] calldata places, bool allBad) external;

    function prompt(uint256 inputId) external view returns (PromptRecord memory);
    function response(uint256 inputId, uint32 run) external view returns (PostedResponse memory);
    function ranking(uint256 inputId, address ranker) external view returns (Ranking memory);
    /// @notice The latest ranking of each ranker, in order of their first one.
    function rankings(uint256 inputId, uint256 from, uint256 limit) external view returns (Ranking[] memory);
    /// @notice Input ids of prompts asked here, in order.
    function promptIds(uint256 from, uint256 limit) external view returns (uint256[] memory);
    function promptCount() external view returns (uint256);
    function inbox() external view returns (IInbox);
    function vouchers() external view returns (address);
    function promptsOf(address author, uint256 from, uint256 limit) external view returns (uint256[] memory);
}
