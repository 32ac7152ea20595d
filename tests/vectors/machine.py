"""The Sworn machine, version 1, in plain Python: an implementation of prover/SPEC.md of its own, with the standard library only.

Slow and obvious; check.py compares the test vectors with it.
"""

import hashlib
import math
import struct


def unhex(text):
    assert text.startswith("0x"), text
    return bytes.fromhex(text[2:])


def tohex(data):
    return "0x" + data.hex()


def sha256(data):
    return hashlib.sha256(data).digest()


# ---------------------------------------------------------------- trees (sections 2 and 5)

Z = [bytes(32)]
for _ in range(64):
    Z.append(sha256(Z[-1] + Z[-1]))


def ceil_pow2(n):
    size = 1
    while size < max(n, 1):
        size *= 2
    return size


def depth(count):
    return ceil_pow2(count).bit_length() - 1


def levels(leaves):
    """All levels of the padded tree, leaves first."""
    level = list(leaves) + [Z[0]] * (ceil_pow2(len(leaves)) - len(leaves))
    out = [level]
    while len(level) > 1:
        level = [sha256(level[i] + level[i + 1]) for i in range(0, len(level), 2)]
        out.append(level)
    return out


def root(leaves):
    return levels(leaves)[-1][0]


def path(leaves, index, start=0):
    """Siblings from height `start` upwards of leaf or node `index` at that height."""
    out = []
    for level in levels(leaves)[start:-1]:
        out.append(level[index ^ 1])
        index //= 2
    return out


def follow(node, index, siblings):
    for sibling in siblings:
        node = sha256(node + sibling) if index % 2 == 0 else sha256(sibling + node)
        index //= 2
    assert index == 0, "the index is past the tree"
    return node


def text_leaves(text):
    return [sha256(text[i : i + 256].ljust(256, b"\0")) for i in range(0, len(text), 256)]


def numbers_root(numbers):
    leaves = []
    for i in range(0, len(numbers), 64):
        leaf = b"".join(struct.pack("<I", n) for n in numbers[i : i + 64])
        leaves.append(sha256(leaf.ljust(256, b"\0")))
    return root(leaves)


def pattern_numbers(count):
    return [i * 2654435761 % 2**32 for i in range(count)]


def pattern(length):
    return bytes(n >> 24 for n in pattern_numbers(length))


CHUNK = 131072


def chunk_paths(text):
    """(start, length, path) of every chunk."""
    if len(text) <= CHUNK:
        return [(0, len(text), [])]
    leaves = text_leaves(text)
    return [(s, min(CHUNK, len(text) - s), path(leaves, s // CHUNK, 9)) for s in range(0, len(text), CHUNK)]


# ---------------------------------------------------------------- records, params, payloads (section 6)


def word(value):
    if isinstance(value, bytes):
        return value.rjust(32, b"\0")
    return (int(value) % 2**256).to_bytes(32, "big")


def record(tag, *fields):
    return sha256(tag.encode().ljust(32, b"\0") + b"".join(word(field) for field in fields))


PARAMS = [("kind", 1), ("n_runs", 2)] + [
    (name, 4) for name in ("max_new_tokens", "max_total_tokens", "temperature_milli", "top_k", "top_p_ppm", "min_p_ppm")
]


def params_word(case):
    packed = b"".join(case[name].to_bytes(size, "big") for name, size in PARAMS)
    return packed + bytes(5)


def params_error(p):
    if p["kind"] != 1:
        return "UnsupportedKind"
    if not 1 <= p["n_runs"] <= 16:
        return "BadRunCount"
    if p["temperature_milli"] > 10_000:
        return "BadSampling temperature"
    if p["temperature_milli"] == 0 and p["n_runs"] != 1:
        return "RunsAtZeroTemperature"
    if not 1 <= p["top_p_ppm"] <= 1_000_000:
        return "BadSampling top_p"
    if p["min_p_ppm"] > 1_000_000:
        return "BadSampling min_p"
    return ""


def decode_payload(data):
    """The segments, or None for a malformed payload."""
    if data[:1] != b"\x01":
        return None
    at, segments = 1, []
    while at < len(data):
        kind, number = data[at], data[at + 1 : at + 5]
        if len(segments) == 64 or kind > 1 or len(number) < 4:
            return None
        number = int.from_bytes(number, "big")
        at += 5
        if kind == 0:
            text = data[at : at + number]
            if len(text) < number:
                return None
            segments.append({"type": "text", "bytes": tohex(text)})
            at += number
        else:
            segments.append({"type": "control", "id": number})
    return segments


# ---------------------------------------------------------------- headers (sections 6 and 9)


def keccak256(data):
    mask = 2**64 - 1
    rotate = lambda x, n: ((x << n) | (x >> (64 - n))) & mask if n else x
    state = [[0] * 5 for _ in range(5)]
    data = bytearray(data) + b"\x01" + bytes(-(len(data) + 1) % 136)
    data[-1] |= 0x80
    for block in range(0, len(data), 136):
        for i in range(17):
            state[i % 5][i // 5] ^= int.from_bytes(data[block + 8 * i : block + 8 * i + 8], "little")
        lfsr = 1
        for _ in range(24):
            c = [state[x][0] ^ state[x][1] ^ state[x][2] ^ state[x][3] ^ state[x][4] for x in range(5)]
            d = [c[(x + 4) % 5] ^ rotate(c[(x + 1) % 5], 1) for x in range(5)]
            state = [[lane ^ d[x] for lane in state[x]] for x in range(5)]
            x, y, current = 1, 0, state[1][0]
            for t in range(24):
                x, y = y, (2 * x + 3 * y) % 5
                current, state[x][y] = state[x][y], rotate(current, (t + 1) * (t + 2) // 2 % 64)
            for y in range(5):
                row = [state[x][y] for x in range(5)]
                for x in range(5):
                    state[x][y] = row[x] ^ (~row[(x + 1) % 5] & mask & row[(x + 2) % 5])
            for j in range(7):
                if lfsr & 1:
                    state[0][0] ^= 1 << ((1 << j) - 1)
                lfsr = (lfsr << 1) ^ (0x171 if lfsr & 0x80 else 0)
    return b"".join(state[i % 5][i // 5].to_bytes(8, "little") for i in range(4))


def rlp_item(data, at):
    """(is a list, start, end) of the item at `at`; raises ValueError when it does not fit."""
    if at >= len(data):
        raise ValueError("no item")
    prefix = data[at]
    if prefix < 0x80:
        return False, at, at + 1
    is_list, length = prefix >= 0xC0, (prefix - 0x80) % 0x40
    start = at + 1
    if length > 55:
        start += length - 55
        if start > len(data):
            raise ValueError("no length")
        length = int.from_bytes(data[at + 1 : start], "big")
    if start + length > len(data):
        raise ValueError("item past the end")
    return is_list, start, start + length


def mix_hash(rlp):
    """Field 13 of a header, or None."""
    try:
        is_list, at, end = rlp_item(rlp, 0)
        if not is_list or end != len(rlp):
            return None
        for field in range(14):
            inner, start, stop = rlp_item(rlp, at)
            if inner:
                return None
            if field == 13:
                return rlp[start:stop] if stop - start == 32 else None
            at = stop
    except ValueError:
        return None


ROOTS = ("tokens_root", "offsets_root", "text_root")


def run_digest(run):
    return record(
        "sworn/run/1",
        run["n_prompt"],
        run["n_tokens"],
        run["finish"],
        *(unhex(run[name]) for name in ROOTS),
        run["text_length"],
        run["score"],
        run["greedy"],
    )


def job_digest(input_id, n_runs, runs_root, score_root):
    return record("sworn/job/1", input_id, n_runs, runs_root, score_root)


# ---------------------------------------------------------------- arithmetic (section 1)
#
# binary64 with one rounding to binary32 after every operation is exact binary32 arithmetic: 53 >= 2 * 24 + 2.

NAN = 0x7FC00000


def f32(x):
    """Rounds a Python float to binary32."""
    try:
        return struct.unpack("<f", struct.pack("<f", x))[0]
    except OverflowError:
        return math.copysign(math.inf, x)


def value(bits):
    return struct.unpack("<f", struct.pack("<I", bits))[0]


def bits_of(x):
    """Bits of a binary32 value, with the one NaN."""
    return NAN if math.isnan(x) else struct.unpack("<I", struct.pack("<f", x))[0]


def add(a, b):
    return f32(a + b)


def mul(a, b):
    return f32(a * b)


def div(a, b):
    if b == 0:
        if a == 0 or math.isnan(a):
            return math.nan
        return math.copysign(math.inf, a) * math.copysign(1, b)
    return f32(a / b)


def sqrt(a):
    return math.nan if math.isnan(a) or a < 0 else f32(math.sqrt(a))


def round_half_even(x):
    return round(x)


LOG2E, NEG_LN2_HI, LN2_LO = value(0x3FB8AA3B), value(0xBF318000), value(0x395E8083)
COEFFICIENTS = [value(bits) for bits in (0x3AB60B61, 0x3C088889, 0x3D2AAAAB, 0x3E2AAAAB, 0x3F000000)] + [1.0, 1.0]


def exp(x):
    if math.isnan(x) or x > 0:
        return math.nan
    if x < -87:
        return 0.0
    n = round_half_even(mul(x, LOG2E))
    q = add(add(x, mul(f32(n), NEG_LN2_HI)), mul(f32(n), LN2_LO))
    p = COEFFICIENTS[0]
    for c in COEFFICIENTS[1:]:
        p = add(mul(p, q), c)
    return p * 2.0**n


def negative(x):
    return math.copysign(1, x) < 0


def silu(x):
    if math.isnan(x):
        return math.nan
    e = exp(-abs(x))
    return div(mul(x, e) if negative(x) else x, add(1.0, e))


def key(bits):
    signed = bits - 2**32 if bits >> 31 else bits
    return signed ^ 0x7FFFFFFF if signed < 0 else signed


def f32_to_f16(x):
    if math.isnan(x):
        return 0x7E00
    return struct.unpack("<H", struct.pack("<e", max(-65504.0, min(65504.0, x))))[0]


def f16_to_f32(h):
    return struct.unpack("<e", struct.pack("<H", h))[0]


def quantise(block):
    a = max(bits & 0x7FFFFFFF for bits in block)
    if a < 0x04000000:
        return 0, [0] * 32
    if a >= 0x7F800000:
        return NAN, [0] * 32
    d = div(value(a), 127.0)
    i = div(1.0, d)
    return bits_of(d), [round_half_even(mul(value(bits), i)) for bits in block]


def tile_sum(xs):
    total = 0.0
    for start in range(0, len(xs), 256):
        tile = 0.0
        for x in xs[start : start + 256]:
            tile = add(tile, x)
        total = add(total, tile)
    return total


def signed_bytes(text):
    return struct.unpack("32b", unhex(text))


def numbers(texts):
    return [int(text, 16) for text in texts]


# ---------------------------------------------------------------- selection (section 4)


def mass(logit, best, temperature_milli):
    quotient = div(add(logit, -best), div(f32(temperature_milli), 1000.0))
    e = exp(quotient)
    return 0 if math.isnan(e) else int(e * 2**30)


def select(logits, case):
    """(token, threshold, total) of section 4, step by step."""
    order = lambda bits: -(2**31) - 1 if math.isnan(value(bits)) else key(bits)
    best = max(range(len(logits)), key=lambda id: (order(logits[id]), -id))
    m = value(logits[best])
    if case["temperature_milli"] == 0 or not math.isfinite(m):
        return best, 0, 0
    masses = [mass(value(bits), m, case["temperature_milli"]) for bits in logits]
    S = lambda u: sum(p for p in masses if p >= u)
    t = 1
    if case["top_k"] > 0:
        good = [u for u in masses if u >= 1 and sum(p >= u for p in masses) >= case["top_k"]]
        t = max(good, default=1)
    if case["top_p_ppm"] < 1_000_000:
        need = max(1, -(-S(t) * case["top_p_ppm"] // 10**6))
        t = max(u for u in masses + [t] if u >= t and S(u) >= need)
    if case["min_p_ppm"] > 0:
        t = max(t, -(-(2**30) * case["min_p_ppm"] // 10**6))
    total = S(t)
    r = int(case["h64"], 16) * total >> 64
    running = 0
    for id, p in enumerate(masses):
        running += p if p >= t else 0
        if running > r:
            return id, t, total


# ---------------------------------------------------------------- tokenisation (section 7)

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
NONE = 0xFFFFFFFF


def characters(data):
    """Well-formed UTF-8 sequences; any other byte alone."""
    at, out = 0, []
    while at < len(data):
        size = 1
        for n in (1, 2, 3, 4):
            try:
                if at + n <= len(data) and len(data[at : at + n].decode("utf-8")) == 1:
                    size = n
                    break
            except UnicodeDecodeError:
                pass
        out.append(data[at : at + size])
        at += size
    return out


class Tokenizer:
    """`tokens`: (bytes, type, score) of every id."""

    def __init__(self, tokens, flags, bos):
        self.tokens, self.flags, self.bos = tokens, flags, bos
        self.ids = {}  # text of a NORMAL piece -> lowest id
        self.byte_ids = {}
        for id, (_, kind, _) in enumerate(tokens):
            if kind == NORMAL:
                self.ids.setdefault(self.text(id), id)
            if kind == BYTE:
                self.byte_ids[self.text(id)] = id
        self.merges = sorted(self._merges())

    def text(self, id):
        piece, kind, _ = self.tokens[id]
        if kind == BYTE:
            return bytes([int(piece[3:5], 16)])
        return piece.replace("\u2581".encode(), b" ") if kind in (NORMAL, USER_DEFINED) else b""

    def _merges(self):
        """(left, right, rank, result)."""
        found = []
        for text, result in self.ids.items():
            for cut in range(1, len(text)):
                left, right = self.ids.get(text[:cut]), self.ids.get(text[cut:])
                if left is not None and right is not None:
                    found.append((left, right, result))
        scores = sorted({self.tokens[result][2] for _, _, result in found}, reverse=True)
        return [(left, right, scores.index(self.tokens[result][2]), result) for left, right, result in found]

    def encode_text(self, data):
        """Tokens of one text segment, and the (left, right) of its last merge."""
        symbols, last = [], None
        for char in characters(data):
            if char in self.ids:
                symbols.append(self.ids[char])
            else:
                symbols.extend(self.byte_ids[bytes([byte])] for byte in char)
        normal = lambda id: self.tokens[id][1] == NORMAL
        while True:
            best = None
            for i in range(len(symbols) - 1):
                left, right = symbols[i], symbols[i + 1]
                if normal(left) and normal(right):
                    result = self.ids.get(self.text(left) + self.text(right))
                    if result is not None and (best is None or self.tokens[result][2] > best[0]):
                        best = (self.tokens[result][2], i, result)
            if best is None:
                return symbols, last
            _, i, result = best
            last = (symbols[i], symbols[i + 1])
            symbols[i : i + 2] = [result]

    def encode(self, segments):
        out = [self.bos] if self.flags & 1 else []
        after_text = False
        for segment in segments:
            if segment["type"] == "text":
                text = unhex(segment["bytes"])
                space = b" " if text and self.flags & 2 and not after_text else b""
                out += self.encode_text(space + text)[0]
                after_text = True
            else:
                out.append(segment["id"])
                after_text = False
        return out or [self.bos]

    def piece(self, before, id):
        text = self.text(id)
        strips = self.flags & 8 and before == self.bos and self.tokens[id][1] != BYTE
        return text[1:] if strips and text.startswith(b" ") else text

    def decode(self, ids):
        return b"".join(self.piece(before, id) for before, id in zip([None] + ids, ids))

    def table(self):
        """(left, right, rank) of every token."""
        ranks = {result: rank for _, _, rank, result in self.merges}
        out = []
        for id, (_, kind, _) in enumerate(self.tokens):
            entry = (NONE, NONE, NONE)
            if kind == NORMAL:
                symbols, last = self.encode_text(self.text(id))
                if symbols == [id] and last:
                    entry = (*last, ranks[id])
            out.append(entry)
        return out

    def is_trusted(self):
        """Whether the tables do not suffice to prove every pair."""
        table = self.table()
        falls = lambda rank, part: table[part][2] not in (NONE,) and table[part][2] > rank
        decreasing = any(rank != NONE and (falls(rank, left) or falls(rank, right)) for left, right, rank in table)
        unknown = any(char not in self.ids for text in self.ids for char in characters(text))
        return decreasing or unknown

    def roots(self):
        """(table_root, merges_root, tokenizer_root)."""
        u32 = lambda *numbers: b"".join(n.to_bytes(4, "big") for n in numbers)
        leaves = []
        for (piece, kind, _), entry in zip(self.tokens, self.table()):
            leaves.append(sha256(bytes([kind]) + u32(*entry) + len(piece).to_bytes(2, "big") + piece))
        entries = [u32(*merge) for merge in self.merges]
        merge_leaves = [sha256(b"".join(entries[i : i + 16]).ljust(256, b"\0")) for i in range(0, len(entries), 16)]
        table_root, merges_root = root(leaves), root(merge_leaves)
        fields = (1, self.flags, self.bos, len(self.tokens), table_root, merges_root, len(entries))
        return table_root, merges_root, record("sworn/tokenizer/1", *fields)


# ---------------------------------------------------------------- weights (section 2)

F32, F16, Q8_0, Q4_0, Q8F = range(5)
SCALE_BYTES = {F32: 0, F16: 0, Q8_0: 2, Q4_0: 2, Q8F: 4}
ELEMENT_BITS = {F32: 32, F16: 16, Q8_0: 8, Q4_0: 4, Q8F: 8}


class Weights:
    """A tensor; `rows[r][t]` has the scales, then the elements that tile t of row r really holds."""

    def __init__(self, format, cols, rows):
        self.format, self.cols, self.rows = format, cols, rows
        self.cache = {}

    def root(self):
        leaves_per_row = ceil_pow2(-(-self.cols // 256))
        out = []
        for row in self.rows:
            leaves = [sha256(self.leaf(t, tile)) for t, tile in enumerate(row)]
            out += leaves + [Z[0]] * (leaves_per_row - len(leaves))
        return root(out)

    def leaf(self, t, tile):
        scales = self.scale_bytes(t)
        scale_area, element_area = 8 * SCALE_BYTES[self.format], 32 * ELEMENT_BITS[self.format]
        return tile[:scales].ljust(scale_area, b"\0") + tile[scales:].ljust(element_area, b"\0")

    def scale_bytes(self, t):
        return SCALE_BYTES[self.format] * (min(256, self.cols - 256 * t) // 32)

    def row(self, r):
        """F32, F16: the elements. Else: (scales, integers)."""
        if r not in self.cache:
            scales, elements = [], []
            for t, tile in enumerate(self.rows[r]):
                at = self.scale_bytes(t)
                scale_type = {2: "e", 4: "f", 0: "B"}[SCALE_BYTES[self.format]]
                scales += [x[0] for x in struct.iter_unpack("<" + scale_type, tile[:at])]
                data = tile[at:]
                if self.format == F32:
                    elements += [x[0] for x in struct.iter_unpack("<f", data)]
                elif self.format == F16:
                    elements += [x[0] for x in struct.iter_unpack("<e", data)]
                elif self.format == Q4_0:
                    for b in range(0, len(data), 16):
                        elements += [(byte & 15) - 8 for byte in data[b : b + 16]]
                        elements += [(byte >> 4) - 8 for byte in data[b : b + 16]]
                else:
                    elements += [max(x[0], -127) for x in struct.iter_unpack("b", data)]
            self.cache[r] = (scales, elements) if scales else elements
        return self.cache[r]

    def values(self, r):
        row = self.row(r)
        if isinstance(row, list):
            return row
        scales, integers = row
        return [mul(scales[i // 32], float(q)) for i, q in enumerate(integers)]


# ---------------------------------------------------------------- programs (section 3)

CARRY = 0xFFFE


class Program:
    def __init__(self, data):
        assert data[:4] == bytes.fromhex("53575031")
        self.context, self.vocabulary = struct.unpack(">II", data[4:12])
        counts = struct.unpack(">8H", data[12:28])
        self.n_head, self.n_body, self.n_tail, self.layers = counts[:4]
        self.w_head, self.w_body, self.w_tail, stops = counts[4:]
        self.stop_tokens = list(struct.unpack(">16I", data[32:96]))[:stops]
        self.entries = []
        for at in range(96, len(data), 32):
            op, format, *fields = struct.unpack(">BB5H5I", data[at : at + 32])
            inputs, weights, dims, constants = fields[:3], fields[3:5], fields[5:8], fields[8:10]
            self.entries.append((op, format, inputs, weights, dims, constants))
        assert len(self.entries) == self.n_head + self.n_body + self.n_tail

    def weight(self, number, layer):
        """The global number of a weight tensor."""
        if number < self.w_head:
            return number
        if number < self.w_head + self.w_body:
            return self.w_head + layer * self.w_body + number - self.w_head
        return number + (self.layers - 1) * self.w_body

    def logits(self, tensors, tokens):
        """The tail's last output at every position."""
        session = Session(self, tensors)
        return [session.feed(token) for token in tokens]


class Session:
    """A token sequence that grows; keeps every output at every position."""

    def __init__(self, program, tensors):
        self.program, self.tensors = program, tensors
        self.length = 0
        self.outputs = {}  # (layer, entry) -> one output a position; head and tail entries are in layer 0

    def feed(self, token):
        """The logits of the row of `token`."""
        p, t = self.program, self.length
        head_end, body_end = p.n_head, p.n_head + p.n_body
        carry = None
        parts = [(range(head_end), 0)]
        parts += [(range(head_end, body_end), layer) for layer in range(p.layers)]
        parts += [(range(body_end, len(p.entries)), 0)]
        for entries, layer in parts:
            place = lambda number: (layer if number >= head_end else 0, number)
            for number in entries:
                op, _, inputs, weights, dims, constants = p.entries[number]
                named = [carry if i == CARRY else self.outputs.get(place(i)) for i in inputs]
                tensor = None if weights[0] == 0xFFFF else self.tensors[p.weight(weights[0], layer)]
                before = (self.outputs.get(place(number - 2)), self.outputs.get(place(number - 1)))
                out = operation(op, named, tensor, dims, constants, token, t, before)
                self.outputs.setdefault(place(number), []).append(out)
            if entries:
                carry = self.outputs[place(entries[-1])]
        self.length += 1
        return carry[t]


def operation(op, inputs, w, dims, constants, token, t, before):
    """The output of one entry at row t."""
    x, y, z = inputs
    d0, d1, d2 = dims
    if op == 1:  # embed
        return w.values(token)
    if op == 2:  # norm_stat
        total = tile_sum([mul(a, a) for a in x[t]])
        return div(1.0, sqrt(add(div(total, f32(d0)), value(constants[0]))))
    if op == 3:  # norm_apply
        return [mul(mul(a, y[t]), b) for a, b in zip(x[t], w.values(0))]
    if op == 4:  # quantise
        blocks = [quantise([bits_of(a) for a in x[t][i : i + 32]]) for i in range(0, d0, 32)]
        return [value(d) for d, _ in blocks], [q for _, qs in blocks for q in qs]
    if op == 5:  # matmul
        return [dot(w.row(j), x[t], d1) for j in range(d0)]
    if op == 6:  # rope
        row = list(x[t])
        table = w.values(t)
        for head in range(0, d0, d1):
            for i in range(0, d2, 2):
                a, b, c, s = row[head + i], row[head + i + 1], table[i], table[i + 1]
                row[head + i] = add(mul(a, c), -mul(b, s))
                row[head + i + 1] = add(mul(a, s), mul(b, c))
        return row
    if op == 7:  # to_f16
        return [f16_to_f32(f32_to_f16(a)) for a in x[t]]
    if op in (8, 9, 10):
        return [out for h in range(d0) for out in attention(op, x, y, z, before, t, h, dims, constants)]
    if op == 11:  # add
        return [add(a, b) for a, b in zip(x[t], y[t])]
    if op == 12:  # silu_mul
        return [mul(silu(a), b) for a, b in zip(x[t], y[t])]
    raise ValueError(f"operation {op}")


def dot(w, x, inner):
    if isinstance(w, list):
        return tile_sum([mul(a, b) for a, b in zip(w, x)])
    (w_scales, w_q), (x_scales, x_q) = w, x
    # Tiles of 256 elements are 8 blocks.
    total = 0.0
    for start in range(0, inner, 256):
        tile = 0.0
        for block in range(start // 32, min(start + 256, inner) // 32):
            at = 32 * block
            s = sum(a * b for a, b in zip(w_q[at : at + 32], x_q[at : at + 32]))
            tile = add(tile, mul(mul(w_scales[block], x_scales[block]), f32(s)))
        total = add(total, tile)
    return total


def attention(op, q, k, third, before, t, h, dims, constants):
    """What entries 8 (one (max, position)), 9 (one sum) and 10 (head_dim values) give for head h of row t."""
    heads, kv_heads, size = dims
    group = h // (heads // kv_heads)
    scale = value(constants[0])
    query = q[t][h * size : (h + 1) * size]
    of = lambda rows, j: rows[j][group * size : (group + 1) * size]
    scores = [mul(tile_sum([mul(a, b) for a, b in zip(query, of(k, j))]), scale) for j in range(t + 1)]
    order = lambda x: 2**31 if math.isnan(x) else key(bits_of(x))
    if op == 8:
        position = max(range(t + 1), key=lambda j: (order(scores[j]), -j))
        return [(scores[position], position)]
    maximum = (third if op == 9 else before[0])[t][h][0]
    masses = [exp(add(s, -maximum)) for s in scores]
    if op == 9:
        return [tile_sum(masses)]
    total = before[1][t][h]
    return [div(tile_sum([mul(m, of(third, j)[e]) for j, m in enumerate(masses)]), total) for e in range(size)]


# ---------------------------------------------------------------- runs (section 5)


def generate(program, tensors, tokenizer, params, payload, seed):
    """All runs of a `generate` input: dicts with n_prompt, tokens, finish, text, offsets."""
    segments = decode_payload(payload)
    is_control = lambda id: id < len(tokenizer.tokens) and tokenizer.tokens[id][1] in (CONTROL, USER_DEFINED)
    if segments is None or not all(s["type"] == "text" or is_control(s["id"]) for s in segments):
        return [{"n_prompt": 1, "tokens": [tokenizer.bos], "finish": 2, "text": b"", "offsets": []}] * params["n_runs"]
    prompt = tokenizer.encode(segments)
    n = len(prompt)
    limits = [program.context - n]
    if params["max_new_tokens"]:
        limits.append(params["max_new_tokens"])
    if params["max_total_tokens"]:
        limits.append(params["max_total_tokens"] - n)
    limit = max(0, min(limits))
    runs = []
    for number in range(params["n_runs"]):
        tokens, text, offsets = list(prompt), b"", []
        finish = 2 if n > program.context else 0
        session = Session(program, tensors)
        while finish == 0 and len(offsets) < limit:
            while session.length < len(tokens):
                last = session.feed(tokens[session.length])
            h64 = record("sworn/draw/1", seed, number, len(tokens))[:8].hex()
            token, _, _ = select([bits_of(x) for x in last], {**params, "h64": h64})
            offsets.append(len(text))
            if token in program.stop_tokens:
                finish = 1
            else:
                text += tokenizer.piece(tokens[-1], token)
            tokens.append(token)
        runs.append({"n_prompt": n, "tokens": tokens, "finish": finish, "text": text, "offsets": offsets})
    return runs
