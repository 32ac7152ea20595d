// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IFaults} from "../interfaces/IFaults.sol";
import {IInbox} from "../interfaces/IInbox.sol";
import {IModels} from "../interfaces/IModels.sol";
import {IVouchers} from "../interfaces/IVouchers.sol";
import {Contents} from "../libraries/Contents.sol";
import {Machine} from "../libraries/Machine.sol";
import {Openings} from "../libraries/Openings.sol";
import {Payload} from "../libraries/Payload.sol";
import {Positions} from "../libraries/Positions.sol";
import {Programs} from "../libraries/Programs.sol";
import {PromptPlaces} from "../libraries/PromptPlaces.sol";
import {TokenTable} from "../libraries/TokenTable.sol";

/// @title Faults of a prompt's tokens
/// @notice `prover/SPEC.md` section 10.5. The witness of fault 54 is a `PairWitness`, of 56 and 57 a `MalformedWitness`, of the others a
/// `TokenWitness`; each as `abi.encode` of the one struct. What a fault does not need is left empty.
contract PromptFaults is IFaults {
    using PromptPlaces for PromptPlaces.Leaves;
    using PromptPlaces for uint64;

    /// @notice Shows something about one token of a prompt.
    struct TokenWitness {
        TokenTable.Tokenizer tokenizer;
        uint32 slot; // the token's number in its leaf
        bytes starts; // contents of the node `starts`
        Openings.Leaf prompt; // part of the node `prompt`
        Openings.Leaf tokens; // the token's leaf under the run's tokens root
        TokenTable.Entry entry; // the token's
        PromptPlaces.Leaves payload;
        uint32 which; // 52: a byte of the piece that differs; 53, 55: the token that reads the same
        TokenTable.Entry other; // of the token `which`
    }

    /// @notice Shows that two adjacent tokens could have merged differently.
    struct PairWitness {
        TokenTable.Tokenizer tokenizer;
        uint32 slot; // the left token's number in its leaf
        bytes starts; // contents of the node `starts`
        Openings.Leaf prompt; // part of the node `prompt`, if the right token is in the next leaf
        Openings.Leaf tokens; // the left token's leaf
        Openings.Leaf nextTokens; // the right token's leaf, if it is another
        TokenTable.Entry[] left; // the left token, its right part, that one's right part, ..., x
        TokenTable.Entry[] right; // the right token, its left part, that one's left part, ..., y
        uint32 merge; // the number of (x, y) in the merge table
        Openings.Leaf merges;
    }

    /// @notice Shows that a payload is not malformed where the node says.
    struct MalformedWitness {
        TokenTable.Tokenizer tokenizer; // 57 only
        bytes contents;
        uint32 slot; // 56: the header's number in the list
        PromptPlaces.Leaves payload;
        TokenTable.Entry entry; // 57: of the control segment's token
    }

    /// @dev The run that the node is of, and where its prompt comes from.
    struct Prompt {
        uint32 nPrompt;
        uint32 nTokens;
        bytes32 tokensRoot;
        bool malformed; // claimed to be
        bytes32 tokenizerRoot;
        bytes32 payloadRoot;
        uint256 payloadLength;
    }

    /// @dev Parts and rank of a token without a merge.
    uint32 private constant NO_TOKEN = type(uint32).max;

    /// @notice The inputs.
    IInbox public immutable inbox;
    /// @notice The inbox's registry of models.
    IModels public immutable models;

    constructor(IInbox inbox_) {
        inbox = inbox_;
        models = inbox_.models();
    }

    /// @inheritdoc IFaults
    function isFault(Case calldata c, uint8 fault, bytes calldata witness) external view returns (bool) {
        if (fault < Machine.FAULT_BOS || fault > Machine.FAULT_GOOD_CONTROL) revert UnknownFault(fault);
        if (witness.length < 32 || uint256(bytes32(witness)) != 32) revert BadWitness("encoding");
        Prompt memory p = _prompt(c);
        uint8 kind = Positions.kind(c.node.position);
        if (fault >= Machine.FAULT_SEGMENTS) {
            if (kind != Machine.NODE_MALFORMED || !p.malformed) revert WrongNode(fault, c.node.position);
            return _malformed(p, c.node.value, fault, _malformedWitness(witness));
        }
        // Of a payload that is said to be malformed the one token is BOS, and no node tells of places.
        bool startsOnly = fault >= Machine.FAULT_PLACE_STEP;
        bool fits = kind == Machine.NODE_STARTS && fault != Machine.FAULT_BOS;
        if (kind == Machine.NODE_PROMPT) fits = !startsOnly;
        if (p.malformed) fits = false;
        if (fault == Machine.FAULT_BOS && kind == Machine.NODE_TOKENS) fits = Positions.index(c.node.position) == 0;
        if (!fits) revert WrongNode(fault, c.node.position);
        if (fault == Machine.FAULT_PAIR) return _pair(p, c, _pairWitness(witness));
        return _token(p, c, fault, _tokenWitness(witness));
    }

    // Faults of one token.

    function _token(Prompt memory p, Case calldata c, uint8 fault, TokenWitness calldata w)
        private
        view
        returns (bool)
    {
        TokenTable.check(w.tokenizer, p.tokenizerRoot);
        w.payload.check(p.payloadRoot, p.payloadLength);
        uint8 kind = Positions.kind(c.node.position);
        if (kind == Machine.NODE_TOKENS) return _bosToken(p, w);
        if (kind == Machine.NODE_PROMPT) {
            return _firstPlace(p, fault, _promptAt(p, c.node.value, w.prompt, 0), w);
        }
        _contents(w.starts, c.node.value);
        uint256 leaf = Positions.index(c.node.position);
        if (fault == Machine.FAULT_PROMPT_PLACE) {
            return _promptPlace(p, leaf, _promptAt(p, c.parent.value, w.prompt, leaf), w);
        }
        uint256 index = leaf * Machine.TOKEN_LEAF_ELEMENTS + w.slot;
        if (w.slot >= Machine.TOKEN_LEAF_ELEMENTS || index >= p.nPrompt) revert BadWitness("slot");
        uint64 place = PromptPlaces.placeAt(w.starts, w.slot);
        if (place.header() == 0) {
            // BOS: has a place but no segment.
            if (index != 0 || fault != Machine.FAULT_PLACE_STEP) revert BadWitness("no segment");
            (bool found,) = w.payload.first(p.payloadLength, w.tokenizer.flags, 1, false);
            return p.nPrompt == 1 && found;
        }
        uint32 token = _tokenAt(p, w.tokens, index);
        if (fault == Machine.FAULT_CONTROL) return _control(p, place, token, w);
        if (fault == Machine.FAULT_PIECE && token >= w.tokenizer.vocabulary) return true;
        TokenTable.check(w.tokenizer, w.entry, token);
        if (fault == Machine.FAULT_PLACE_STEP) {
            return _step(p, index, place, c.parent.value, w);
        }
        if (fault == Machine.FAULT_PIECE) return _piece(p, place, w);
        if (fault == Machine.FAULT_CANONICAL) return _canonical(token, w);
        return _character(p, place, w);
    }

    /// @dev 48 at a tokens node: token 0 is not BOS where it must be.
    function _bosToken(Prompt memory p, TokenWitness calldata w) private view returns (bool) {
        return _startsWithBos(p, w) && _tokenAt(p, w.tokens, 0) != w.tokenizer.bos;
    }

    /// @dev 48 and 49 at the node `prompt`: the place of token 0.
    function _firstPlace(Prompt memory p, uint8 fault, uint64 place, TokenWitness calldata w)
        private
        pure
        returns (bool)
    {
        bool bos = _startsWithBos(p, w);
        if (fault == Machine.FAULT_BOS) return bos && place != 0;
        if (bos) return false;
        (, uint64 expected) = w.payload.first(p.payloadLength, w.tokenizer.flags, 1, false);
        return place != expected;
    }

    /// @dev Whether token 0 is BOS.
    function _startsWithBos(Prompt memory p, TokenWitness calldata w) private pure returns (bool) {
        if (p.malformed || w.tokenizer.flags & Machine.TOKENIZER_FLAG_ADD_BOS != 0) return true;
        (bool found,) = w.payload.first(p.payloadLength, w.tokenizer.flags, 1, false);
        return !found;
    }

    /// @dev 49 at a node `starts`.
    function _promptPlace(Prompt memory p, uint256 leaf, uint64 place, TokenWitness calldata w)
        private
        pure
        returns (bool)
    {
        if (PromptPlaces.placeAt(w.starts, 0) != place) return true;
        // The first token after BOS.
        if (leaf != 0 || p.nPrompt == 1 || PromptPlaces.placeAt(w.starts, 0) != 0) return false;
        (bool found, uint64 expected) = w.payload.first(p.payloadLength, w.tokenizer.flags, 1, false);
        return !found || PromptPlaces.placeAt(w.starts, 1) != expected;
    }

    /// @dev 50.
    function _step(Prompt memory p, uint256 index, uint64 place, bytes32 promptValue, TokenWitness calldata w)
        private
        view
        returns (bool)
    {
        PromptPlaces.Segment memory s = w.payload.segmentAt(p.payloadLength, place.header());
        bool found = false;
        uint64 expected = 0;
        if (s.isText) {
            uint256 length = place & PromptPlaces.SPACE != 0 ? s.number + 1 : s.number;
            uint256 end = place.within() + TokenTable.text(w.entry).length;
            if (end > length) revert BadWitness("piece past the segment");
            if (end < length) (found, expected) = (true, uint64(place - place.within() + end));
        }
        if (!found) {
            uint256 next = PromptPlaces.afterSegment(place.header(), s);
            (found, expected) = w.payload.first(p.payloadLength, w.tokenizer.flags, next, s.isText);
        }
        if (index + 1 == p.nPrompt) return found;
        return !found || expected != _nextPlace(p, index, promptValue, w.starts, w.prompt);
    }

    /// @dev 51.
    function _control(Prompt memory p, uint64 place, uint32 token, TokenWitness calldata w)
        private
        view
        returns (bool)
    {
        PromptPlaces.Segment memory s = w.payload.segmentAt(p.payloadLength, place.header());
        if (s.isText) revert BadWitness("no control segment");
        if (token != s.number || token >= w.tokenizer.vocabulary) return true;
        TokenTable.check(w.tokenizer, w.entry, token);
        return !_isControl(w.entry.kind);
    }

    /// @dev 52.
    function _piece(Prompt memory p, uint64 place, TokenWitness calldata w) private pure returns (bool) {
        PromptPlaces.Text memory text = w.payload.text(p.payloadLength, place);
        if (w.entry.kind != Machine.TOKEN_NORMAL && w.entry.kind != Machine.TOKEN_BYTE) return true;
        bytes memory piece = TokenTable.text(w.entry);
        if (place.within() + piece.length > text.length) return true;
        if (w.which >= piece.length) revert BadWitness("byte of the piece");
        return uint8(piece[w.which]) != w.payload.textByte(text, place.within() + w.which);
    }

    /// @dev 53.
    function _canonical(uint32 token, TokenWitness calldata w) private view returns (bool) {
        bytes memory piece = TokenTable.text(w.entry);
        if (w.entry.kind == Machine.TOKEN_NORMAL) {
            bool character = piece.length > 0 && PromptPlaces.characterLength(piece) == piece.length;
            if (!character && w.entry.left == NO_TOKEN) return true;
        } else if (w.entry.kind != Machine.TOKEN_BYTE) {
            revert BadWitness("token of no text");
        }
        if (w.which >= token) revert BadWitness("no lower token");
        TokenTable.check(w.tokenizer, w.other, w.which);
        return w.other.kind == w.entry.kind && keccak256(TokenTable.text(w.other)) == keccak256(piece);
    }

    /// @dev 55.
    function _character(Prompt memory p, uint64 place, TokenWitness calldata w) private view returns (bool) {
        PromptPlaces.Text memory text = w.payload.text(p.payloadLength, place);
        uint256 start = place.within();
        if (start >= text.length) revert BadWitness("past the segment");
        (uint256 from, uint256 length) = w.payload.characterAt(text, start);
        if (w.entry.kind == Machine.TOKEN_NORMAL) {
            // Neither its first nor its last byte may be inside a character.
            if (from != start) return true;
            uint256 end = start + TokenTable.text(w.entry).length;
            if (end > text.length) revert BadWitness("piece past the segment");
            if (end == text.length) return false;
            (from,) = w.payload.characterAt(text, end);
            return from != end;
        }
        if (w.entry.kind != Machine.TOKEN_BYTE) revert BadWitness("token of no text");
        TokenTable.check(w.tokenizer, w.other, w.which);
        if (w.other.kind != Machine.TOKEN_NORMAL) return false;
        bytes memory piece = TokenTable.text(w.other);
        if (piece.length != length) return false;
        for (uint256 i = 0; i < length; ++i) {
            if (uint8(piece[i]) != w.payload.textByte(text, from + i)) return false;
        }
        return true;
    }

    // Faults of two tokens.

    /// @dev 54.
    function _pair(Prompt memory p, Case calldata c, PairWitness calldata w) private view returns (bool) {
        TokenTable.check(w.tokenizer, p.tokenizerRoot);
        if (w.tokenizer.flags & Machine.TOKENIZER_FLAG_TRUSTED != 0) revert BadWitness("tokenisation is trusted");
        _contents(w.starts, c.node.value);
        uint256 leaf = Positions.index(c.node.position);
        uint256 index = leaf * Machine.TOKEN_LEAF_ELEMENTS + w.slot;
        if (w.slot >= Machine.TOKEN_LEAF_ELEMENTS || index + 1 >= p.nPrompt) revert BadWitness("slot");
        bool last = w.slot + 1 == Machine.TOKEN_LEAF_ELEMENTS;
        uint256 segment = PromptPlaces.placeAt(w.starts, w.slot).header();
        if (segment == 0 || segment != _nextPlace(p, index, c.parent.value, w.starts, w.prompt).header()) {
            revert BadWitness("not in one segment");
        }
        (uint256 x, uint256 birthX, uint256 endX) = _spine(w.tokenizer, _tokenAt(p, w.tokens, index), w.left, false);
        uint32 next = last ? _tokenAt(p, w.nextTokens, index + 1) : _tokenAt(p, w.tokens, index + 1);
        (uint256 y, uint256 birthY, uint256 endY) = _spine(w.tokenizer, next, w.right, true);
        TokenTable.Merge memory merge = TokenTable.merge(w.tokenizer, w.merges, w.merge);
        if (merge.left != x || merge.right != y) revert BadWitness("merge of other tokens");
        uint256 when = uint256(merge.rank) + 1;
        if (birthX > when) when = birthX;
        if (birthY > when) when = birthY;
        return when < endX && when <= endY;
    }

    /// @dev Follows the right parts (or the left parts) of a token. Gives the last token of the list, one plus the rank of its merge (0
    /// for none), and one plus the rank of the merge that it goes into (the largest number for none).
    function _spine(
        TokenTable.Tokenizer calldata tokenizer,
        uint256 token,
        TokenTable.Entry[] calldata entries,
        bool leftParts
    ) private view returns (uint256 last, uint256 birth, uint256 end) {
        if (entries.length == 0) revert BadWitness("empty spine");
        if (entries[0].kind != Machine.TOKEN_NORMAL) revert BadWitness("pair of no text");
        (last, end) = (token, type(uint256).max);
        for (uint256 i = 0; i < entries.length; ++i) {
            if (i > 0) {
                TokenTable.Entry calldata parent = entries[i - 1];
                last = leftParts ? parent.left : parent.right;
                end = uint256(parent.rank) + 1;
            }
            // A token without parts has NONE for them, which no vocabulary has.
            TokenTable.check(tokenizer, entries[i], last);
        }
        uint32 rank = entries[entries.length - 1].rank;
        if (rank != NO_TOKEN) birth = uint256(rank) + 1;
    }

    // Faults of the list of headers of a malformed payload.

    function _malformed(Prompt memory p, bytes32 value, uint8 fault, MalformedWitness calldata w)
        private
        view
        returns (bool)
    {
        _contents(w.contents, value);
        w.payload.check(p.payloadRoot, p.payloadLength);
        uint256 count = w.contents.length / 4;
        bool listed = count >= 2 && count <= Machine.MAX_SEGMENTS + 1 && w.contents.length == 4 * count
            && _header(w.contents, 0) == count - 1;
        if (fault == Machine.FAULT_SEGMENTS) return !listed || _segments(p, count - 1, w);
        if (!listed) revert BadWitness("no list");
        PromptPlaces.Segment memory s = w.payload.segmentAt(p.payloadLength, _header(w.contents, count - 1));
        if (s.isText) revert BadWitness("no control segment");
        TokenTable.check(w.tokenizer, p.tokenizerRoot);
        TokenTable.check(w.tokenizer, w.entry, s.number);
        return _isControl(w.entry.kind);
    }

    /// @dev 56, for header number `slot` of `count`.
    function _segments(Prompt memory p, uint256 count, MalformedWitness calldata w) private pure returns (bool) {
        if (w.slot >= count) revert BadWitness("slot");
        uint256 found = _header(w.contents, w.slot + 1);
        if (found >= p.payloadLength) return true;
        uint256 expected = 1;
        if (w.slot > 0) {
            uint256 before = _header(w.contents, w.slot);
            expected = PromptPlaces.afterSegment(before, w.payload.segmentAt(p.payloadLength, before));
        }
        if (found != expected) return true;
        return w.slot + 1 == count && w.payload.segmentAt(p.payloadLength, found).isText;
    }

    // Parts.

    function _prompt(Case calldata c) private view returns (Prompt memory p) {
        uint256 run = Positions.run(c.node.position);
        if (run >= c.job.runs.length) revert BadWitness("run");
        IVouchers.Run calldata r = c.job.runs[run];
        (p.nPrompt, p.nTokens, p.tokensRoot) = (r.nPrompt, r.nTokens, r.tokensRoot);
        p.malformed = r.finish == Machine.FINISH_TOO_LONG && r.nPrompt == 1 && r.nTokens == 1;
        // The lane says which input it is; a job that says another has a fault of its own.
        IInbox.Input memory input = inbox.input(inbox.laneInput(c.epoch, c.modelId, Positions.lane(c.node.position)));
        (p.payloadRoot, p.payloadLength) = (input.payloadRoot, input.payloadLength);
        (,, p.tokenizerRoot) = models.commitmentsOf(c.modelId);
    }

    function _contents(bytes calldata contents, bytes32 value) private pure {
        if (sha256(contents) != value) revert BadWitness("contents");
    }

    /// @dev Token `index` of the run, from its leaf.
    function _tokenAt(Prompt memory p, Openings.Leaf calldata leaf, uint256 index) private view returns (uint32) {
        if (index >= p.nTokens) revert BadWitness("token index");
        uint256 leaves = (uint256(p.nTokens) + Machine.TOKEN_LEAF_ELEMENTS - 1) / Machine.TOKEN_LEAF_ELEMENTS;
        Openings.leaf(leaf, p.tokensRoot, index / Machine.TOKEN_LEAF_ELEMENTS, Programs.log2Ceil(leaves));
        uint256 slot = 4 * (index % Machine.TOKEN_LEAF_ELEMENTS);
        if (leaf.data.length != 4 * Machine.TOKEN_LEAF_ELEMENTS) revert BadWitness("tokens leaf");
        uint32 word = uint32(bytes4(leaf.data[slot:slot + 4]));
        return (word >> 24) | ((word >> 8) & 0xff00) | ((word & 0xff00) << 8) | (word << 24);
    }

    /// @dev The place of the token after prompt token `index`, which is not the last.
    function _nextPlace(
        Prompt memory p,
        uint256 index,
        bytes32 promptValue,
        bytes calldata starts,
        Openings.Leaf calldata prompt
    ) private view returns (uint64) {
        uint256 next = index + 1;
        uint256 slot = next % Machine.TOKEN_LEAF_ELEMENTS;
        if (slot == 0) return _promptAt(p, promptValue, prompt, next / Machine.TOKEN_LEAF_ELEMENTS);
        return PromptPlaces.placeAt(starts, slot);
    }

    /// @dev The place of the first token of a leaf, by a part of the contents of `prompt`, whose digest is `value`.
    function _promptAt(Prompt memory p, bytes32 value, Openings.Leaf calldata part, uint256 leaf)
        private
        view
        returns (uint64)
    {
        uint256 leaves = (uint256(p.nPrompt) + Machine.TOKEN_LEAF_ELEMENTS - 1) / Machine.TOKEN_LEAF_ELEMENTS;
        Contents.checkPart(part, value, 8 * leaves, 0, Contents.PROMPT_PART, leaf / Machine.PART_PLACES);
        return PromptPlaces.placeAt(part.data, leaf % Machine.PART_PLACES);
    }

    function _header(bytes calldata contents, uint256 slot) private pure returns (uint256) {
        return uint32(bytes4(contents[4 * slot:4 * slot + 4]));
    }

    function _isControl(uint8 kind) private pure returns (bool) {
        return kind == Machine.TOKEN_CONTROL || kind == Machine.TOKEN_USER_DEFINED;
    }

    // A witness is read where it is: its lengths and offsets are checked on access, against the end of the call's data.

    function _tokenWitness(bytes calldata witness) private pure returns (TokenWitness calldata w) {
        assembly ("memory-safe") {
            w := add(witness.offset, 32)
        }
    }

    function _pairWitness(bytes calldata witness) private pure returns (PairWitness calldata w) {
        assembly ("memory-safe") {
            w := add(witness.offset, 32)
        }
    }

    function _malformedWitness(bytes calldata witness) private pure returns (MalformedWitness calldata w) {
        assembly ("memory-safe") {
            w := add(witness.offset, 32)
        }
    }
}
