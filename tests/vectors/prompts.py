"""Prompts of claims, written from section 10.5 of prover/SPEC.md alone: which faults a run's revealed nodes show."""

import struct

from machine import BYTE, CONTROL, NORMAL, NONE, USER_DEFINED, characters

BOS, PROMPT_PLACE, PLACE_STEP, CONTROL_TOKEN, PIECE, CANONICAL, PAIR, BYTE_TOKEN, SEGMENTS, GOOD_CONTROL = range(48, 58)
TRUSTED = 4
SPACE = 1 << 31
PER_LEAF = 64
MAX_SEGMENTS = 64
TOO_LONG = 2


def words(contents):
    return list(struct.unpack(f">{len(contents) // 4}I", contents))


def places_of(contents):
    flat = words(contents)
    return list(zip(flat[::2], flat[1::2]))


class Segment:
    """A segment of a payload; `text` has the space that is put before it, and is None for a control segment."""

    def __init__(self, header, text=None, spaced=False, id=None):
        self.header, self.text, self.spaced, self.id = header, text, spaced, id
        self.start = (header, SPACE if spaced else 0)
        self.has_token = text is None or text != b""
        # Where its characters start and end.
        self.characters = []
        at = 0
        for char in characters(text or b""):
            self.characters.append((at, at + len(char)))
            at += len(char)

    def character_at(self, at):
        return next(pair for pair in self.characters if pair[0] <= at < pair[1])


def segments_of(payload, flags):
    at, out, after_text = 1, [], False
    while at < len(payload):
        number = int.from_bytes(payload[at + 1 : at + 5], "big")
        if payload[at] == 1:
            out.append(Segment(at, id=number))
            at += 5
            after_text = False
            continue
        text = payload[at + 5 : at + 5 + number]
        spaced = bool(flags & 2) and text != b"" and not after_text
        out.append(Segment(at, (b" " if spaced else b"") + text, spaced))
        at += 5 + number
        after_text = True
    return out


class Tables:
    """What is asked of a tokenizer: the leaves of its table and its merges."""

    def __init__(self, tokenizer):
        self.tokenizer, self.size = tokenizer, len(tokenizer.tokens)
        self.table = tokenizer.table()
        self.ranks = {(left, right): rank for left, right, rank, _ in tokenizer.merges}

    def kind(self, id):
        return self.tokenizer.tokens[id][1] if id < self.size else None

    def text(self, id):
        return self.tokenizer.text(id) if id < self.size else b""

    def is_control(self, id):
        return self.kind(id) in (CONTROL, USER_DEFINED)

    def has_lower_twin(self, id):
        """Whether a lower token of the same kind (NORMAL or byte) reads the same."""
        return any(self.kind(other) == self.kind(id) and self.text(other) == self.text(id) for other in range(id))

    def is_normal_piece(self, text):
        return text in self.tokenizer.ids

    def spine(self, id, side):
        """(token, its merge's rank or -1, its parent's merge's rank or infinity) downwards; side 0: left parts, 1: right ones."""
        out, above = [], float("inf")
        while id != NONE:
            entry = self.table[id]
            born = entry[2] if entry[2] != NONE else -1
            out.append((id, born, above))
            id, above = entry[side], born
        return out

    def pair_is_wrong(self, t1, t2):
        for x, birth_x, d_x in self.spine(t1, 1):
            for y, birth_y, d_y in self.spine(t2, 0):
                if (x, y) in self.ranks:
                    e = max(self.ranks[x, y], birth_x, birth_y)
                    if e < d_x and e <= d_y:
                        return True
        return False


class Prompt:
    """A run's prompt with what is revealed of it: contents of `prompt`, of `starts` by leaf, and of `malformed`."""

    def __init__(self, tables, payload, tokens, n_prompt, finish, prompt=b"", starts=(), malformed=b""):
        self.tables, self.flags, self.bos = tables, tables.tokenizer.flags, tables.tokenizer.bos
        self.tokens, self.n_prompt = tokens, n_prompt
        self.segments = segments_of(payload, self.flags)
        self.says_malformed = n_prompt == 1 and len(tokens) == 1 and finish == TOO_LONG
        self.starts_with_bos = bool(self.flags & 1) or self.says_malformed or not any(s.has_token for s in self.segments)
        self.prompt, self.starts = places_of(prompt), [places_of(contents) for contents in starts]
        self.malformed = malformed

    def faults(self):
        """(code, kind of node, index of node) of every fault that shows."""
        found = []
        if self.starts_with_bos and self.tokens[0] != self.bos:
            found.append((BOS, "tokens", 0))
        if self.says_malformed:
            return found + [(code, "malformed", 0) for code in self.malformed_faults()]
        first = self.first_start(0)
        if self.starts_with_bos and self.prompt[0] != (0, 0):
            found.append((BOS, "prompt", 0))
        if not self.starts_with_bos and self.prompt[0] != first:
            found.append((PROMPT_PLACE, "prompt", 0))
        for leaf in range(len(self.starts)):
            found += [(code, "starts", leaf) for code in sorted(self.starts_faults(leaf))]
        return found

    def first_start(self, number):
        """The start of the first segment from `number` on that has a token."""
        return next((s.start for s in self.segments[number:] if s.has_token), None)

    def malformed_faults(self):
        listed = words(self.malformed[: len(self.malformed) // 4 * 4])
        headers = listed[1:]
        in_order = [s.header for s in self.segments[: len(headers)]] == headers
        if len(self.malformed) % 4 or not 1 <= len(headers) <= MAX_SEGMENTS or listed[0] != len(headers) or not in_order:
            return [SEGMENTS]
        last = self.segments[len(headers) - 1]
        if last.text is not None:
            return [SEGMENTS]
        return [GOOD_CONTROL] if self.tables.is_control(last.id) else []

    def place(self, i):
        """The place of token i that is revealed: in its leaf, or of a leaf's first one in `prompt`."""
        leaf, slot = divmod(i, PER_LEAF)
        return self.starts[leaf][slot]

    def place_after(self, i):
        """The place of token i + 1, as the node of token i or `prompt` has it."""
        return self.prompt[(i + 1) // PER_LEAF] if (i + 1) % PER_LEAF == 0 else self.place(i + 1)

    def stands_in(self, place):
        """(number of the segment, bytes into its text) of a place; None for one that is none."""
        for number, segment in enumerate(self.segments):
            if segment.header == place[0]:
                within = place[1] & ~SPACE
                inside = within < len(segment.text) if segment.text is not None else within == 0
                right_mark = segment.spaced == bool(place[1] & SPACE)
                return (number, within) if inside and right_mark else None
        return None

    def starts_faults(self, leaf):
        found = set()
        if self.starts[leaf][0] != self.prompt[leaf]:
            found.add(PROMPT_PLACE)
        for i in range(PER_LEAF * leaf, min(PER_LEAF * (leaf + 1), self.n_prompt)):
            last = i + 1 == self.n_prompt
            if i == 0 and self.starts_with_bos:
                first = self.first_start(0)
                if last and first is not None:
                    found.add(PLACE_STEP)
                if not last and self.place_after(0) != first:
                    found.add(PROMPT_PLACE)
                continue
            stands = self.stands_in(self.place(i))
            if stands is None:
                continue
            if self.next_place(i, *stands) != (None if last else self.place_after(i)):
                found.add(PLACE_STEP)
            segment, token = self.segments[stands[0]], self.tokens[i]
            if segment.text is None:
                if token != segment.id or not self.tables.is_control(token):
                    found.add(CONTROL_TOKEN)
            else:
                found |= self.text_faults(segment, stands[1], token)
            if not last and self.pair_is_wrong(i):
                found.add(PAIR)
        return found

    def next_place(self, i, number, within):
        segment = self.segments[number]
        end = within + len(self.tables.text(self.tokens[i]))
        if segment.text is not None and end < len(segment.text):
            return segment.header, end | (SPACE if segment.spaced else 0)
        return self.first_start(number + 1)

    def text_faults(self, segment, within, token):
        tables, kind, piece = self.tables, self.tables.kind(token), self.tables.text(token)
        end = within + len(piece)
        if kind not in (NORMAL, BYTE) or end > len(segment.text) or segment.text[within:end] != piece:
            return {PIECE}
        found = set()
        borders = {0} | {stop for _, stop in segment.characters}
        if kind == NORMAL:
            if len(characters(piece)) != 1 and tables.table[token][0] == NONE:
                found.add(CANONICAL)
            if within not in borders or end not in borders:
                found.add(BYTE_TOKEN)
        else:
            start, stop = segment.character_at(within)
            if tables.is_normal_piece(segment.text[start:stop]):
                found.add(BYTE_TOKEN)
        if tables.has_lower_twin(token):
            found.add(CANONICAL)
        return found

    def pair_is_wrong(self, i):
        left, right = self.tokens[i], self.tokens[i + 1]
        same_segment = self.place(i)[0] == self.place_after(i)[0]
        both_normal = self.tables.kind(left) == NORMAL and self.tables.kind(right) == NORMAL
        in_text = self.segments[self.stands_in(self.place(i))[0]].text is not None
        is_proven = same_segment and in_text and both_normal and not self.flags & TRUSTED
        return is_proven and self.tables.pair_is_wrong(left, right)
