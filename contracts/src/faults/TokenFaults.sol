// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IFaults} from "../interfaces/IFaults.sol";
import {IModels} from "../interfaces/IModels.sol";
import {IVouchers} from "../interfaces/IVouchers.sol";
import {Machine} from "../libraries/Machine.sol";
import {Openings} from "../libraries/Openings.sol";
import {Positions} from "../libraries/Positions.sol";
import {Programs} from "../libraries/Programs.sol";
import {TokenTable} from "../libraries/TokenTable.sol";
import {Sums} from "../numeric/Sums.sol";

/// @title Faults of a run's tokens, offsets and text
/// @notice `prover/SPEC.md` sections 5, 7 and 10.3. Witnesses are `abi.encode` of the structs below.
contract TokenFaults is IFaults {
    /// @notice 32, 34, 36: a leaf of the node, whose elements or filling are wrong.
    struct Filling {
        uint32 index; // in its tree
        Openings.Leaf leaf; // in the node
    }

    /// @notice 33.
    struct Stop {
        uint32 place; // of the token in the run
        Openings.Leaf tokens; // in the node
    }

    /// @notice A new token with all that its piece depends on.
    struct Piece {
        uint32 place; // of the token in the run
        Openings.Leaf offsets; // with its offset
        Openings.Leaf tokens; // to the tokens root
        Openings.Leaf previous; // with the token before; used with flag 3 and when another leaf has it
        TokenTable.Tokenizer tokenizer;
        TokenTable.Entry entry; // of the token
    }

    /// @notice 35. The offset's leaf is in the node; of a first offset that is not 0 nothing else is read.
    struct Offset {
        Piece piece;
        Openings.Leaf next; // with the next offset, to the offsets root; used when another leaf has it
    }

    /// @notice 37. The offset's leaf leads to the offsets root.
    struct Text {
        Piece piece;
        uint32 index; // of the text's leaf
        Openings.Leaf text; // in the node
    }

    uint256 private constant EACH = Machine.TOKEN_LEAF_ELEMENTS;
    uint256 private constant TEXT_BYTES = Machine.TEXT_LEAF_BYTES;

    IModels public immutable models;

    constructor(IModels models_) {
        models = models_;
    }

    /// @inheritdoc IFaults
    function isFault(Case calldata c, uint8 fault, bytes calldata witness) external view returns (bool) {
        IVouchers.Run calldata run = _run(c, fault);
        if (fault == Machine.FAULT_STOP) {
            Stop calldata ending;
            assembly ("memory-safe") {
                ending := add(witness.offset, 32)
            }
            return _stop(c, run, ending);
        }
        if (fault == Machine.FAULT_OFFSET) {
            Offset calldata offset;
            assembly ("memory-safe") {
                offset := add(witness.offset, 32)
            }
            return _offset(c, run, offset);
        }
        if (fault == Machine.FAULT_TEXT) {
            Text calldata text;
            assembly ("memory-safe") {
                text := add(witness.offset, 32)
            }
            return _text(c, run, text);
        }
        Filling calldata filling;
        assembly ("memory-safe") {
            filling := add(witness.offset, 32)
        }
        if (fault == Machine.FAULT_TOKEN) return _token(c, run, filling);
        if (fault == Machine.FAULT_OFFSET_PADDING) return _filled(c, filling, 4 * _fresh(run));
        return _filled(c, filling, run.textLength);
    }

    // The faults.

    /// @dev 32.
    function _token(Case calldata c, IVouchers.Run calldata run, Filling calldata w) private view returns (bool) {
        if (_filled(c, w, 4 * uint256(run.nTokens))) return true;
        (address program,,) = models.commitmentsOf(c.modelId);
        uint256 vocabulary = Programs.load(program).vocabulary;
        uint256 first = EACH * w.index;
        uint256 count = run.nTokens - first;
        if (count > EACH) count = EACH;
        for (uint256 i = 0; i < count; ++i) {
            if (Sums.f32(w.leaf.data, i) >= vocabulary) return true;
        }
        return false;
    }

    /// @dev 33.
    function _stop(Case calldata c, IVouchers.Run calldata run, Stop calldata w) private view returns (bool) {
        _new(run, w.place);
        Openings.inNode(w.tokens, c.node, w.place / EACH);
        (address program,,) = models.commitmentsOf(c.modelId);
        bool stops = Programs.isStop(Programs.load(program), _element(w.tokens, w.place));
        // Only the last token of a run that ended so is one.
        return stops != (run.finish == Machine.FINISH_STOP && uint256(w.place) + 1 == run.nTokens);
    }

    /// @dev 35.
    function _offset(Case calldata c, IVouchers.Run calldata run, Offset calldata w) private view returns (bool) {
        uint256 i = _new(run, w.piece.place);
        Openings.inNode(w.piece.offsets, c.node, i / EACH);
        uint256 start = _element(w.piece.offsets, i);
        if (i == 0 && start != 0) return true;
        uint256 next = run.textLength;
        if (i + 1 < _fresh(run)) {
            if ((i + 1) % EACH == 0) _offsets(w.next, run, i + 1);
            next = _element((i + 1) % EACH == 0 ? w.next : w.piece.offsets, i + 1);
        }
        return start + _piece(c, run, w.piece).length != next;
    }

    /// @dev 37.
    function _text(Case calldata c, IVouchers.Run calldata run, Text calldata w) private view returns (bool) {
        uint256 i = _new(run, w.piece.place);
        _offsets(w.piece.offsets, run, i);
        uint256 start = _element(w.piece.offsets, i);
        bytes memory piece = _piece(c, run, w.piece);

        uint256 first = TEXT_BYTES * w.index;
        if (first >= run.textLength) revert BadWitness("text leaf");
        Openings.inNode(w.text, c.node, w.index);
        bytes calldata data = w.text.data;
        if (data.length != TEXT_BYTES) revert BadWitness("leaf length");
        // The piece's bytes that the leaf holds; past the text's end nothing is a byte of a piece.
        uint256 end = start + piece.length;
        if (end > run.textLength) end = run.textLength;
        if (end > first + TEXT_BYTES) end = first + TEXT_BYTES;
        uint256 from = start > first ? start : first;
        if (from >= end) return false;
        bytes32 expected;
        assembly ("memory-safe") {
            expected := keccak256(add(add(piece, 32), sub(from, start)), sub(end, from))
        }
        return keccak256(data[from - first:end - first]) != expected;
    }

    /// @dev 34 and 36, and part of 32: a leaf of a list of `length` bytes has another length than 256, or bytes past the list's end that are not 0.
    function _filled(Case calldata c, Filling calldata w, uint256 length) private view returns (bool) {
        uint256 first = TEXT_BYTES * w.index;
        if (first >= length) revert BadWitness("leaf");
        Openings.inNode(w.leaf, c.node, w.index);
        bytes calldata data = w.leaf.data;
        if (data.length != TEXT_BYTES) return true;
        for (uint256 b = length - first; b < TEXT_BYTES; b += 32) {
            uint256 word;
            assembly ("memory-safe") {
                word := calldataload(add(data.offset, b))
            }
            if (b + 32 > TEXT_BYTES) word >>= 8 * (b + 32 - TEXT_BYTES);
            if (word != 0) return true;
        }
        return false;
    }

    // What they share.

    /// @dev The run that the node is of; the node must be of the fault's tree.
    function _run(Case calldata c, uint8 fault) private pure returns (IVouchers.Run calldata) {
        uint8 kind;
        if (fault == Machine.FAULT_TOKEN || fault == Machine.FAULT_STOP) kind = Machine.NODE_TOKENS;
        else if (fault == Machine.FAULT_OFFSET_PADDING || fault == Machine.FAULT_OFFSET) kind = Machine.NODE_OFFSETS;
        else if (fault == Machine.FAULT_TEXT_PADDING || fault == Machine.FAULT_TEXT) kind = Machine.NODE_TEXT;
        else revert UnknownFault(fault);
        if (Positions.kind(c.node.position) != kind) revert WrongNode(fault, c.node.position);
        uint256 index = Positions.run(c.node.position);
        if (index >= c.job.runs.length) revert BadWitness("run");
        return c.job.runs[index];
    }

    /// @dev New tokens.
    function _fresh(IVouchers.Run calldata run) private pure returns (uint256) {
        if (run.nTokens < run.nPrompt) revert BadWitness("run");
        return run.nTokens - run.nPrompt;
    }

    /// @dev The number of the new token at `place`.
    function _new(IVouchers.Run calldata run, uint256 place) private pure returns (uint256) {
        // A prompt is never empty: every new token has one before it.
        if (place < run.nPrompt || place >= run.nTokens || place == 0) revert BadWitness("place");
        return place - run.nPrompt;
    }

    /// @dev Checks the leaf of offset `i` against the run.
    function _offsets(Openings.Leaf calldata leaf, IVouchers.Run calldata run, uint256 i) private view {
        Openings.leaf(leaf, run.offsetsRoot, i / EACH, Programs.log2Ceil((_fresh(run) + EACH - 1) / EACH));
    }

    /// @dev The token at `place` by a leaf that is checked against the run.
    function _tokenAt(Openings.Leaf calldata leaf, IVouchers.Run calldata run, uint256 place)
        private
        view
        returns (uint256)
    {
        uint256 leaves = (uint256(run.nTokens) + EACH - 1) / EACH;
        Openings.leaf(leaf, run.tokensRoot, place / EACH, Programs.log2Ceil(leaves));
        return _element(leaf, place);
    }

    /// @dev Element `i` of a list of u32_le, by its leaf.
    function _element(Openings.Leaf calldata leaf, uint256 i) private pure returns (uint256) {
        if (leaf.data.length != 4 * EACH) revert BadWitness("leaf length");
        return Sums.f32(leaf.data, i % EACH);
    }

    /// @dev What the new token adds to the text.
    function _piece(Case calldata c, IVouchers.Run calldata run, Piece calldata w)
        private
        view
        returns (bytes memory none)
    {
        // The stop token that ends a run adds nothing.
        if (run.finish == Machine.FINISH_STOP && uint256(w.place) + 1 == run.nTokens) return none;
        (,, bytes32 tokenizerRoot) = models.commitmentsOf(c.modelId);
        TokenTable.check(w.tokenizer, tokenizerRoot);
        uint256 token = _tokenAt(w.tokens, run, w.place);
        if (token >= w.tokenizer.vocabulary) return none;
        TokenTable.check(w.tokenizer, w.entry, token);
        if (w.tokenizer.flags & Machine.TOKENIZER_FLAG_STRIP_AFTER_BOS == 0) return TokenTable.text(w.entry);
        uint256 before = w.place - 1;
        uint256 previous = w.place % EACH == 0 ? _tokenAt(w.previous, run, before) : _element(w.tokens, before);
        return TokenTable.textAfter(w.tokenizer, previous, w.entry);
    }
}
