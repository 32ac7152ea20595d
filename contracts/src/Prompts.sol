// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IInbox} from "./interfaces/IInbox.sol";
import {IPrompts} from "./interfaces/IPrompts.sol";
import {ISwornRecipient} from "./interfaces/ISwornRecipient.sol";
import {Pages} from "./libraries/Pages.sol";
import {ParamsWord} from "./libraries/ParamsWord.sol";
import {Payload} from "./libraries/Payload.sol";
import {Places} from "./libraries/Places.sol";

/// @title Prompts
/// @dev Holds no money: fees go through to the inbox with the author as payer, so refunds and change are the author's.
contract Prompts is IPrompts {
    struct StoredPrompt {
        address author;
        uint64 askedAt;
        uint16 nRuns;
        uint16 nPosted;
    }

    struct StoredResponse {
        uint64 postedAt;
        uint64 textLength;
        uint32 promptTokens;
        uint32 newTokens;
        uint32 nArrived; // chunks
        uint8 finish;
        bool posted;
        bytes32 textRoot;
        bytes32 claimId;
    }

    /// @dev One slot: at most 16 places of a byte each.
    struct StoredRanking {
        uint64 rankedAt;
        uint32 sequence;
        bool allBad;
        bytes16 places;
    }

    /// @inheritdoc IPrompts
    IInbox public immutable inbox;
    /// @inheritdoc IPrompts
    address public immutable vouchers;

    mapping(uint256 inputId => StoredPrompt) private _prompts;
    mapping(uint256 inputId => mapping(uint32 run => StoredResponse)) private _responses;
    mapping(uint256 inputId => mapping(address ranker => StoredRanking)) private _rankings;
    mapping(uint256 inputId => address[]) private _rankers;
    mapping(address author => uint64[]) private _promptsOf;
    uint64[] private _promptIds;

    constructor(IInbox inbox_, address vouchers_) {
        inbox = inbox_;
        vouchers = vouchers_;
    }

    /// @inheritdoc IPrompts
    function ask(bytes32 modelId, string calldata text, IInbox.Params calldata params)
        external
        payable
        returns (uint256 inputId)
    {
        return _ask(modelId, Payload.ofText(text), params);
    }

    /// @inheritdoc IPrompts
    function askSegments(bytes32 modelId, bytes calldata payload, IInbox.Params calldata params)
        external
        payable
        returns (uint256 inputId)
    {
        return _ask(modelId, payload, params);
    }

    /// @inheritdoc IPrompts
    function quote(bytes32 modelId, uint256 textBytes, IInbox.Params calldata params)
        external
        view
        returns (uint256 priceWei)
    {
        return inbox.fees().quote(modelId, ParamsWord.pack(params), Payload.TEXT_OVERHEAD + textBytes);
    }

    /// @inheritdoc ISwornRecipient
    function onSwornResponse(Response calldata response_, bytes calldata text) external {
        if (msg.sender != vouchers) revert NotVouchers(msg.sender);
        uint256 inputId = response_.inputId;
        StoredPrompt storage entry = _known(inputId);
        StoredResponse storage stored = _responses[inputId][response_.run];
        // All chunks of a run come from the one final claim of its lane, each once: counting them is enough.
        uint32 nArrived = stored.nArrived + 1;
        stored.nArrived = nArrived;
        stored.postedAt = uint64(block.timestamp);
        if (nArrived == 1) {
            stored.textLength = response_.textLength;
            stored.promptTokens = response_.promptTokens;
            stored.newTokens = response_.newTokens;
            stored.finish = response_.finish;
            stored.textRoot = response_.textRoot;
            stored.claimId = response_.claimId;
        }
        emit ResponsePosted(
            inputId, response_.run, response_.chunk, response_.nChunks, response_.finish, response_.claimId, text
        );
        if (nArrived == response_.nChunks) {
            stored.posted = true;
            uint16 nPosted = entry.nPosted + 1;
            entry.nPosted = nPosted;
            if (nPosted == entry.nRuns) emit AllResponsesPosted(inputId);
        }
    }

    /// @inheritdoc IPrompts
    function rank(uint256 inputId, uint8[] calldata places, bool allBad) external {
        StoredPrompt storage entry = _known(inputId);
        if (entry.nPosted != entry.nRuns) revert NotAllPosted(inputId, entry.nPosted, entry.nRuns);
        if (places.length != entry.nRuns) revert WrongPlaceCount(places.length, entry.nRuns);
        bytes16 packed = Places.pack(places);

        StoredRanking storage stored = _rankings[inputId][msg.sender];
        uint32 sequence = stored.sequence + 1;
        if (sequence == 1) _rankers[inputId].push(msg.sender);
        (stored.rankedAt, stored.sequence, stored.allBad, stored.places) =
        (uint64(block.timestamp), sequence, allBad, packed);
        emit Ranked(inputId, msg.sender, sequence, allBad, places);
    }

    /// @inheritdoc IPrompts
    function prompt(uint256 inputId) external view returns (PromptRecord memory) {
        StoredPrompt storage entry = _known(inputId);
        IInbox.Input memory input = inbox.input(inputId);
        return PromptRecord({
            author: entry.author,
            askedAt: entry.askedAt,
            modelId: input.modelId,
            params: input.params,
            payloadRoot: input.payloadRoot,
            payloadLength: input.payloadLength,
            nRuns: entry.nRuns,
            nPosted: entry.nPosted,
            nRankers: uint32(_rankers[inputId].length)
        });
    }

    /// @inheritdoc IPrompts
    function response(uint256 inputId, uint32 run) external view returns (PostedResponse memory) {
        _known(inputId);
        StoredResponse storage stored = _responses[inputId][run];
        return PostedResponse({
            posted: stored.posted,
            finish: stored.finish,
            promptTokens: stored.promptTokens,
            newTokens: stored.newTokens,
            postedAt: stored.postedAt,
            textLength: stored.textLength,
            textRoot: stored.textRoot,
            claimId: stored.claimId
        });
    }

    /// @inheritdoc IPrompts
    function ranking(uint256 inputId, address ranker) external view returns (Ranking memory) {
        return _ranking(inputId, ranker, _known(inputId).nRuns);
    }

    /// @inheritdoc IPrompts
    function rankings(uint256 inputId, uint256 from, uint256 limit) external view returns (Ranking[] memory page) {
        uint16 nRuns = _known(inputId).nRuns;
        address[] storage rankers = _rankers[inputId];
        page = new Ranking[](Pages.length(rankers.length, from, limit));
        for (uint256 i = 0; i < page.length; ++i) {
            page[i] = _ranking(inputId, rankers[from + i], nRuns);
        }
    }

    /// @inheritdoc IPrompts
    function promptIds(uint256 from, uint256 limit) external view returns (uint256[] memory) {
        return _page(_promptIds, from, limit);
    }

    /// @inheritdoc IPrompts
    function promptCount() external view returns (uint256) {
        return _promptIds.length;
    }

    /// @inheritdoc IPrompts
    function promptsOf(address author, uint256 from, uint256 limit) external view returns (uint256[] memory) {
        return _page(_promptsOf[author], from, limit);
    }

    function _ask(bytes32 modelId, bytes memory payload, IInbox.Params calldata params)
        private
        returns (uint256 inputId)
    {
        inputId = inbox.submitFor{value: msg.value}(msg.sender, modelId, params, payload, address(this));
        _prompts[inputId] = StoredPrompt(msg.sender, uint64(block.timestamp), params.nRuns, 0);
        _promptIds.push(uint64(inputId));
        _promptsOf[msg.sender].push(uint64(inputId));
        emit PromptAsked(inputId, msg.sender, modelId, ParamsWord.pack(params));
    }

    function _known(uint256 inputId) private view returns (StoredPrompt storage entry) {
        entry = _prompts[inputId];
        if (entry.author == address(0)) revert UnknownPrompt(inputId);
    }

    function _ranking(uint256 inputId, address ranker, uint16 nRuns) private view returns (Ranking memory) {
        StoredRanking storage stored = _rankings[inputId][ranker];
        return Ranking({
            ranker: ranker,
            rankedAt: stored.rankedAt,
            sequence: stored.sequence,
            allBad: stored.allBad,
            places: stored.sequence == 0 ? new uint8[](0) : Places.unpack(stored.places, nRuns)
        });
    }

    function _page(uint64[] storage list, uint256 from, uint256 limit) private view returns (uint256[] memory page) {
        page = new uint256[](Pages.length(list.length, from, limit));
        for (uint256 i = 0; i < page.length; ++i) {
            page[i] = list[from + i];
        }
    }
}
