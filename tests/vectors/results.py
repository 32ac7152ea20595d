"""Results of claims, written from sections 5, 7 and 10.3 of prover/SPEC.md alone: which faults a job and a run's lists show."""

import struct

EXPANSION, RUN_SHAPE = 16, 17
TOKEN, STOP, OFFSET_PADDING, OFFSET, TEXT_PADDING, TEXT = range(32, 38)
LENGTH, STOPPED, TOO_LONG = 0, 1, 2
ZERO = bytes(32)


def expansion_is_wrong(lane_input_id, n_runs, job):
    return job["input_id"] != lane_input_id or job["runs"] != n_runs or job["score_root"] != ZERO


def shape_is_wrong(run, context, max_new_tokens, max_total_tokens):
    """Rule run_shape."""
    n_prompt, n_new, finish = run["n_prompt"], run["n_tokens"] - run["n_prompt"], run["finish"]
    if n_prompt == 0 or n_new < 0 or finish not in (LENGTH, STOPPED, TOO_LONG) or run["score"] or run["greedy"]:
        return True
    if finish == TOO_LONG:
        if n_new != 0 or (n_prompt <= context and n_prompt != 1):
            return True
    else:
        limits = [context - n_prompt]
        limits += [max_new_tokens] if max_new_tokens else []
        limits += [max_total_tokens - n_prompt] if max_total_tokens else []
        limit = max(0, min(limits))
        if n_prompt > context or n_new > limit:
            return True
        if finish == LENGTH and n_new != limit or finish == STOPPED and n_new == 0:
            return True
    if n_new == 0 and (run["text_length"] or run["offsets_root"] != ZERO or run["text_root"] != ZERO):
        return True
    if n_new > 0 and run["text_length"] == 0 and run["text_root"] != ZERO:
        return True
    return run["text_length"] > 65535 * n_new


class Lists:
    """A run's lists as they are claimed; `leaves` by kind."""

    def __init__(self, tokenizer, size, stop_tokens, run, leaves):
        self.tokenizer, self.size, self.stop_tokens = tokenizer, size, stop_tokens
        self.n_prompt, self.n_tokens = run["n_prompt"], run["n_tokens"]
        self.finish, self.text_length = run["finish"], run["text_length"]
        self.leaves = leaves

    def number(self, kind, i):
        """None where a leaf has not its length."""
        leaf = self.leaves[kind][i // 64]
        return struct.unpack_from("<I", leaf, 4 * (i % 64))[0] if len(leaf) == 256 else None

    def is_filled(self, kind, leaf, length):
        data = self.leaves[kind][leaf]
        return len(data) == 256 and not any(data[max(0, length - 256 * leaf) :])

    def faults(self, kind, leaf):
        return {"tokens": self.token_faults, "offsets": self.offset_faults, "text": self.text_faults}[kind](leaf)

    def token_faults(self, leaf):
        found = set()
        places = range(64 * leaf, min(64 * (leaf + 1), self.n_tokens))
        tokens = {place: self.number("tokens", place) for place in places}
        outside = any(token is not None and token >= self.size for token in tokens.values())
        if outside or not self.is_filled("tokens", leaf, 4 * self.n_tokens):
            found.add(TOKEN)
        for place, token in tokens.items():
            last = place == self.n_tokens - 1
            if token is None or place < self.n_prompt:
                continue
            if (token in self.stop_tokens) != (last and self.finish == STOPPED):
                found.add(STOP)
        return found

    def piece(self, i):
        """What new token i adds to the text."""
        place = self.n_prompt + i
        token, before = self.number("tokens", place), self.number("tokens", place - 1)
        stopped = self.finish == STOPPED and place == self.n_tokens - 1
        return b"" if stopped or token >= self.size else self.tokenizer.piece(before, token)

    def offset_faults(self, leaf):
        n_new = self.n_tokens - self.n_prompt
        found = set() if self.is_filled("offsets", leaf, 4 * n_new) else {OFFSET_PADDING}
        for i in range(64 * leaf, min(64 * (leaf + 1), n_new)):
            start = self.number("offsets", i)
            following = self.text_length if i == n_new - 1 else self.number("offsets", i + 1)
            if start is None or following is None:
                continue
            if i == 0 and start != 0 or start + len(self.piece(i)) != following:
                found.add(OFFSET)
        return found

    def text_faults(self, leaf):
        found = set() if self.is_filled("text", leaf, self.text_length) else {TEXT_PADDING}
        data = self.leaves["text"][leaf]
        for i in range(self.n_tokens - self.n_prompt):
            start = self.number("offsets", i)
            for at, byte in enumerate(self.piece(i), start):
                inside = 256 * leaf <= at < min(256 * leaf + len(data), self.text_length)
                if inside and data[at - 256 * leaf] != byte:
                    found.add(TEXT)
        return found
