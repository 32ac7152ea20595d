"""Challenges in plain Python: traces, nodes and single elements, written from section 10 of prover/SPEC.md alone.

An element is recomputed from opened leaves only: a source gives the bytes of `leaf(row, leaf)` of a trace and of `weight(tensor, row, tile)`.
"""

from collections import namedtuple

from machine import *  # noqa: F403

OPEN_LEVELS, CONTENT_LEVELS, DIRECT_TILES = 6, 2, 4
RUN_ADDENDS, SUM_TOKENS, PART_SUMS, PART_GROUPS, PART_PLACES = 32, 16, 16, 4, 16
KINDS = "claim job tokens offsets text trace totals tile selection group prompt starts malformed".split()
EMBED, NORM_STAT, NORM_APPLY, QUANTISE, MATMUL, ROPE, TO_F16, ATTN_MAX, ATTN_SUM, ATTN_MIX, ADD, SILU_MUL = range(1, 13)


def ceil_div(a, b):
    return -(-a // b)


# ---------------------------------------------------------------- nodes (10.2)


def position(kind, lane=0, run=0, height=0, index=0, a=0, b=0, c=0):
    """The word of a node's position."""
    fields = ((KINDS.index(kind) + 1, 1), (lane, 4), (run, 1), (height, 1), (index, 8), (a, 4), (b, 4), (c, 4))
    return b"".join(number.to_bytes(size, "big") for number, size in fields) + bytes(5)


def levels_down(rest):
    """Levels that the first opening goes down where `rest` are left."""
    return ceil_div(rest, ceil_div(rest, OPEN_LEVELS)) if rest else 0


class Tree:
    """A tree whose leaves are bytes; those that are not in `leaves` are absent."""

    def __init__(self, leaves, levels_above):
        self.leaves, self.depth = leaves, levels_above
        self.levels = [{index: sha256(leaf) for index, leaf in leaves.items()}]
        for height in range(levels_above):
            below = self.levels[-1]
            side = lambda index: below.get(index, Z[height])
            self.levels.append({i: sha256(side(2 * i) + side(2 * i + 1)) for i in {index // 2 for index in below}})

    def digest(self, height, index):
        return self.levels[height].get(index, Z[height])

    def root(self):
        return self.digest(self.depth, 0)

    def opened(self, height, index):
        """What a node holds: its leaves' bytes, or digests some levels below; without what is absent."""
        if height <= CONTENT_LEVELS:
            return self.below(self.leaves, index, height)
        down = levels_down(height - CONTENT_LEVELS)
        return self.below(self.levels[height - down], index, down)

    def in_job(self, n_runs):
        """The digests that come with a job of so many runs, if this is the trace of one."""
        down = min(OPEN_LEVELS - depth(n_runs) - (n_runs > 8), max(self.depth - CONTENT_LEVELS, 0))
        return self.below(self.levels[self.depth - down], 0, down)

    def below(self, things, index, down):
        return [things[i] for i in range(index << down, (index + 1) << down) if i in things]


def claim_node(job_digests, height, index):
    """What a node of the claim tree holds."""
    all_levels, below = levels(job_digests), levels_down(height)
    count = ceil_div(len(job_digests), 1 << (height - below))
    return [all_levels[height - below][i] for i in range(index << below, min((index + 1) << below, count))]


def list_tree(numbers_):
    """The tree of a run's tokens or offsets."""
    packed = b"".join(struct.pack("<I", n) for n in numbers_)
    return text_tree(packed)


def text_tree(text):
    leaves = {i // 256: text[i : i + 256].ljust(256, b"\0") for i in range(0, len(text), 256)}
    return Tree(leaves, depth(len(leaves)))


def contents_digest(node, contents):
    """The digest of posted contents: of a head and the root over parts, for kinds that have parts."""
    kind, head, each = node["kind"], 0, 4 * PART_SUMS
    if kind == "tile":
        addends = len(tile_positions(node["index"], node["c"]))
        head = 4 * ceil_div(addends, RUN_ADDENDS)
        each = (len(contents) - head) // addends * RUN_ADDENDS
    elif kind == "selection":
        head, each = 12, 6 * 7 * PART_GROUPS
    elif kind == "group":
        each = 6 * PART_SUMS
    elif kind == "prompt":
        each = 8 * PART_PLACES
    elif kind != "totals":
        return sha256(contents)
    parts = [contents[at : at + each] for at in range(head, len(contents), each)]
    return sha256(contents[:head] + root([sha256(part) for part in parts]))


def tile_positions(row, tile):
    return range(256 * tile, min(256 * (tile + 1), row + 1))


# ---------------------------------------------------------------- traces (10.1)

PER_LEAF = {"f32": 64, "f16": 128, "quantised": 256, "maxima": 32}
Step = namedtuple("Step", "number entry layer in_tail op format inputs weights dims constants kind elements first leaves")


def shape(op, dims):
    """(kind, elements) of an operation's output at a row."""
    d0, _, d2 = dims
    if op == NORM_STAT:
        return "f32", 1
    if op == ATTN_MIX:
        return "f32", d0 * d2
    return {QUANTISE: "quantised", TO_F16: "f16", ATTN_MAX: "maxima"}.get(op, "f32"), d0


class Layout:
    """The steps of a row, their leaves, and N."""

    def __init__(self, program):
        p, self.steps, first = program, [], 0
        head, body = p.n_head, p.n_body
        places = [(n, 0) for n in range(head)]
        places += [(head + n, layer) for layer in range(p.layers) for n in range(body)]
        places += [(head + body + n, 0) for n in range(p.n_tail)]
        tail_start = head + p.layers * body
        number_of = {place: number for number, place in enumerate(places)}
        for number, (entry, layer) in enumerate(places):
            op, format, inputs, weights, dims, constants = p.entries[entry]

            def named(i):
                if i == 0xFFFF:
                    return None
                if i == CARRY:
                    # The last step of the table before: of the layer before, of the head, or of the last layer.
                    return tail_start - 1 if number >= tail_start else head + layer * body - 1
                return number_of[i, layer if head <= i < head + body else 0]

            kind, elements = shape(op, dims)
            leaves = ceil_div(elements, PER_LEAF[kind])
            self.steps.append(
                Step(
                    number,
                    entry,
                    layer,
                    number >= tail_start,
                    op,
                    format,
                    [named(i) for i in inputs],
                    [None if w == 0xFFFF else p.weight(w, layer) for w in weights],
                    dims,
                    constants,
                    kind,
                    elements,
                    first,
                    leaves,
                )
            )
            first += leaves
        self.tail_start = tail_start
        self.row_leaves = first
        self.row_depth = depth(first)


def leaf_bytes(kind, output, k):
    """Leaf k of an output as `Session` has it, filled up."""
    of = slice(k * PER_LEAF[kind], (k + 1) * PER_LEAF[kind])
    u32 = lambda n: struct.pack("<I", n)
    if kind == "f32":
        output = output if isinstance(output, list) else [output]
        return b"".join(u32(bits_of(x)) for x in output[of]).ljust(256, b"\0")
    if kind == "f16":
        return b"".join(struct.pack("<H", f32_to_f16(x)) for x in output[of]).ljust(256, b"\0")
    if kind == "maxima":
        return b"".join(u32(bits_of(m)) + u32(j) for m, j in output[of]).ljust(256, b"\0")
    scales, integers = output
    scales = b"".join(u32(bits_of(d)) for d in scales[8 * k : 8 * k + 8]).ljust(32, b"\0")
    return scales + b"".join(struct.pack("b", q) for q in integers[of]).ljust(256, b"\0")


class Trace:
    """The whole trace of a run; a source of leaves."""

    def __init__(self, program, tensors, tokens, n_prompt):
        self.layout, self.tensors = Layout(program), tensors
        self.tokens, self.n_prompt = tokens, n_prompt
        self.rows = len(tokens) - 1 if len(tokens) > n_prompt else 0
        session = Session(program, tensors)
        for token in tokens[: self.rows]:
            session.feed(token)
        leaves = {}
        for row in range(self.rows):
            for step in self.layout.steps:
                if step.in_tail and row < n_prompt - 1:
                    continue
                # Head and tail are in layer 0.
                output = session.outputs[step.layer, step.entry][row]
                for k in range(step.leaves):
                    leaves[(row << self.layout.row_depth) + step.first + k] = leaf_bytes(step.kind, output, k)
        self.tree = Tree(leaves, self.layout.row_depth + depth(self.rows))

    def root(self):
        return self.tree.root()

    def leaf(self, row, leaf):
        return self.tree.leaves[(row << self.layout.row_depth) + leaf]

    def weight(self, tensor, row, tile):
        w = self.tensors[tensor]
        return w.leaf(tile, w.rows[row][tile])


# ---------------------------------------------------------------- elements from opened leaves


def read(source, step, row, i):
    """Element i of a step's output at a row: an f32, an f16 as f32, (scale, integer), or (maximum, position)."""
    each = PER_LEAF[step.kind]
    leaf, at = source.leaf(row, step.first + i // each), i % each
    if step.kind == "f32":
        return struct.unpack_from("<f", leaf, 4 * at)[0]
    if step.kind == "f16":
        return struct.unpack_from("<e", leaf, 2 * at)[0]
    if step.kind == "maxima":
        return struct.unpack_from("<fI", leaf, 8 * at)
    return struct.unpack_from("<f", leaf, 4 * (at // 32))[0], struct.unpack_from("b", leaf, 32 + at)[0]


def read_weight(source, tensor, format, row, i):
    """An element of a weight: its value, or (scale, integer)."""
    leaf, at = source.weight(tensor, row, i // 256), i % 256
    if format == F32:
        return struct.unpack_from("<f", leaf, 4 * at)[0]
    if format == F16:
        return struct.unpack_from("<e", leaf, 2 * at)[0]
    block = at // 32
    if format == Q4_0:
        byte = leaf[16 + 16 * block + at % 16]
        return struct.unpack_from("<e", leaf, 2 * block)[0], (byte & 15 if at % 32 < 16 else byte >> 4) - 8
    size = SCALE_BYTES[format]
    scale = struct.unpack_from({2: "<e", 4: "<f"}[size], leaf, size * block)[0]
    return scale, max(struct.unpack_from("b", leaf, 8 * size + at)[0], -127)


def weight_value(source, tensor, format, row, i):
    found = read_weight(source, tensor, format, row, i)
    return mul(found[0], f32(found[1])) if isinstance(found, tuple) else found


class Elements:
    """Recomputes elements of a trace from the leaves that they need."""

    def __init__(self, layout, source, token_of):
        self.steps, self.source, self.token_of = layout.steps, source, token_of

    def of(self, step, slot):
        return self.steps[step.inputs[slot]]

    def input(self, step, slot, row, i):
        return read(self.source, self.of(step, slot), row, i)

    def element(self, number, row, e):
        """What element e of step `number` must be at a row."""
        step = self.steps[number]
        op, (d0, d1, d2), (c0, _) = step.op, step.dims, step.constants
        x = lambda i: self.input(step, 0, row, i)
        if op == EMBED:
            return weight_value(self.source, step.weights[0], step.format, self.token_of(row), e)
        if op in (NORM_STAT, MATMUL, ATTN_SUM, ATTN_MIX):
            tiles = [self.tile_total(step, row, e, c) for c in range(self.tile_count(step, row))]
            return self.combined(step, row, e, tiles)
        if op == NORM_APPLY:
            r = self.input(step, 1, row, 0)
            return mul(mul(x(e), r), read_weight(self.source, step.weights[0], F32, 0, e))
        if op == QUANTISE:
            start = e - e % 32
            d, q = quantise([bits_of(x(start + i)) for i in range(32)])
            return value(d), q[e % 32]
        if op == ROPE:
            i = e % d1
            if i >= d2:
                return x(e)
            even, pair = e - i % 2, i - i % 2
            c, s = (read_weight(self.source, step.weights[0], F32, row, pair + k) for k in (0, 1))
            x0, x1 = x(even), x(even + 1)
            return add(mul(x0, c), -mul(x1, s)) if i % 2 == 0 else add(mul(x0, s), mul(x1, c))
        if op == TO_F16:
            return f16_to_f32(f32_to_f16(x(e)))
        if op == ATTN_MAX:
            scores = [self.score(step, row, e, j) for j in range(row + 1)]
            order = lambda s: 2**31 if math.isnan(s) else key(bits_of(s))
            best = max(range(row + 1), key=lambda j: (order(scores[j]), -j))
            return scores[best], best
        y = self.input(step, 1, row, e)
        return add(x(e), y) if op == ADD else mul(silu(x(e)), y)

    # long sums

    def tile_count(self, step, row):
        if step.op == MATMUL:
            return ceil_div(step.dims[1], 256)
        if step.op == NORM_STAT:
            return ceil_div(step.dims[0], 256)
        return ceil_div(row + 1, 256)

    def tile_total(self, step, row, e, c):
        """The sum of tile c of a long sum."""
        if step.op in (ATTN_SUM, ATTN_MIX):
            return tile_sum([product(addend) for addend in self.addends(step, row, e, c)])
        inner = step.dims[1] if step.op == MATMUL else step.dims[0]
        places = range(256 * c, min(256 * (c + 1), inner))
        x = lambda i: self.input(step, 0, row, i)
        if step.op == NORM_STAT:
            return tile_sum([mul(x(i), x(i)) for i in places])
        w = lambda i: read_weight(self.source, step.weights[0], step.format, e, i)
        if step.format in (F32, F16):
            return tile_sum([mul(w(i), x(i)) for i in places])
        total = 0.0
        for block in range(places.start, places.stop, 32):
            pairs = [(w(i), x(i)) for i in range(block, block + 32)]
            s = sum(qw * qx for (_, qw), (_, qx) in pairs)
            total = add(total, mul(mul(pairs[0][0][0], pairs[0][1][0]), f32(s)))
        return total

    def combined(self, step, row, e, totals):
        """The element that tile totals give."""
        total = 0.0
        for tile in totals:
            total = add(total, tile)
        if step.op == NORM_STAT:
            return div(1.0, sqrt(add(div(total, f32(step.dims[0])), value(step.constants[0]))))
        if step.op == ATTN_MIX:
            return div(total, read(self.source, self.steps[step.number - 1], row, e // step.dims[2]))
        return total

    # attention

    def head(self, step, e):
        return e // step.dims[2] if step.op == ATTN_MIX else e

    def score(self, step, row, h, j):
        heads, kv_heads, size = step.dims
        g = h // (heads // kv_heads)
        q = [self.input(step, 0, row, h * size + i) for i in range(size)]
        k = [self.input(step, 1, j, g * size + i) for i in range(size)]
        return mul(tile_sum([mul(a, b) for a, b in zip(q, k)]), value(step.constants[0]))

    def addends(self, step, row, e, c):
        """(w_j,) or (w_j, v_j[e]) of the positions of tile c."""
        h = self.head(step, e)
        maximum_step = self.steps[step.number - (1 if step.op == ATTN_SUM else 2)]
        m = read(self.source, maximum_step, row, h)[0]
        out = []
        for j in tile_positions(row, c):
            w = exp(add(self.score(step, row, h, j), -m))
            if step.op == ATTN_SUM:
                out.append((w,))
            else:
                heads, kv_heads, size = step.dims
                g = h // (heads // kv_heads)
                out.append((w, self.input(step, 2, j, g * size + e % size)))
        return out

    def value_bits(self, step, j, e):
        """The f16 v_j[e] of a mix as it is stored."""
        heads, kv_heads, size = step.dims
        g = self.head(step, e) // (heads // kv_heads)
        values, i = self.of(step, 2), g * size + e % size
        return struct.unpack_from("<H", self.source.leaf(j, values.first + i // 128), 2 * (i % 128))[0]

    # posted contents

    def totals(self, number, row, e):
        """Contents of a totals node; None where there is none."""
        step = self.steps[number]
        if step.op not in (NORM_STAT, MATMUL, ATTN_SUM, ATTN_MIX):
            return None
        tiles = self.tile_count(step, row)
        direct = DIRECT_TILES if step.op == MATMUL and step.format not in (F32, F16) else 1
        if tiles <= direct:
            return None
        sums = [self.tile_total(step, row, e, c) for c in range(tiles)]
        return b"".join(struct.pack(">I", bits_of(s)) for s in sums)

    def tile(self, number, row, e, c):
        """Contents of a tile node."""
        addends = self.addends(self.steps[number], row, e, c)
        return tile_contents(running_sums(addends), addends)


def product(addend):
    """What is added of (w_j,) or (w_j, v_j[e])."""
    return mul(*addend) if len(addend) == 2 else addend[0]


def run_sum(before, run):
    """The running sum behind a run of addends, from the one before it."""
    total = add(before, 0.0)
    for addend in run:
        total = add(total, product(addend))
    return total


def runs_of(addends):
    return [addends[at : at + RUN_ADDENDS] for at in range(0, len(addends), RUN_ADDENDS)]


def running_sums(addends):
    sums = [0.0]
    for run in runs_of(addends):
        sums.append(run_sum(sums[-1], run))
    return sums[1:]


def tile_contents(sums, addends):
    out = b"".join(struct.pack(">I", bits_of(s)) for s in sums)
    for weight, *values in addends:
        out += struct.pack(">I", bits_of(weight)) + b"".join(struct.pack(">H", f32_to_f16(v)) for v in values)
    return out


# ---------------------------------------------------------------- choice (10.2 and 10.4)


class Choice:
    """What nodes of a choice hold, and whether it is right. `logits` are bits, `token` is the claimed one."""

    def __init__(self, logits, token, params):
        self.logits, self.token, self.params = logits, token, params
        order = lambda bits: -(2**31) - 1 if math.isnan(value(bits)) else key(bits)
        self.best = max(range(len(logits)), key=lambda id: (order(logits[id]), -id))
        m = value(logits[self.best])
        self.finite = math.isfinite(m)
        self.masses = [mass(value(bits), m, params["temperature_milli"]) for bits in logits] if self.finite else []
        self.t1, self.t2 = self.thresholds() if self.finite else (1, 1)
        self.leaf_count = ceil_div(len(logits), 64)
        self.group_leaves = 1 << ceil_div(depth(self.leaf_count), 2)
        self.group_count = ceil_div(self.leaf_count, self.group_leaves)

    def thresholds(self):
        S = lambda u: sum(p for p in self.masses if p >= u)
        t1 = 1
        if self.params["top_k"] > 0:
            many = lambda u: sum(p >= u for p in self.masses) >= self.params["top_k"]
            t1 = max((u for u in self.masses if u >= 1 and many(u)), default=1)
        t2 = t1
        if self.params["top_p_ppm"] < 10**6:
            need = max(1, ceil_div(S(t1) * self.params["top_p_ppm"], 10**6))
            t2 = max(u for u in self.masses + [t1] if u >= t1 and S(u) >= need)
        return t1, t2

    def t3(self):
        least = ceil_div(2**30 * self.params["min_p_ppm"], 10**6)
        return max(self.t2, least) if self.params["min_p_ppm"] > 0 else self.t2

    def sums(self, tokens):
        """The 7 components over some tokens."""
        t1, t2, t3 = self.t1, self.t2, self.t3()
        out = [0] * 7
        for v in tokens:
            p = self.masses[v] if self.finite else 0
            parts = (p > t1, p >= t1, p * (p >= t1), p * (p >= t2), p * (p >= t2 + 1), p * (p >= t3))
            for i, part in enumerate(parts + (p * (p >= t3 and v < self.token),)):
                out[i] += part
        return out

    def group_tokens(self, group):
        each = 64 * self.group_leaves
        return range(group * each, min((group + 1) * each, len(self.logits)))

    def selection(self):
        out = struct.pack(">III", self.best, self.t1, self.t2)
        for group in range(self.group_count):
            out += b"".join(s.to_bytes(6, "big") for s in self.sums(self.group_tokens(group)))
        return out

    def group(self, component, group):
        tokens = self.group_tokens(group)
        sums = (self.sums(tokens[at : at + SUM_TOKENS])[component] for at in range(0, len(tokens), SUM_TOKENS))
        return b"".join(s.to_bytes(6, "big") for s in sums)

    def is_right(self, h64):
        """10.4 for the claimed token."""
        if self.params["temperature_milli"] == 0 or not self.finite:
            return self.token == self.best
        c, p = self.sums(range(len(self.logits))), self.params
        need = max(1, ceil_div(c[2] * p["top_p_ppm"], 10**6))
        mine = self.masses[self.token]
        r = (h64 * c[5]) >> 64
        return (
            1 <= self.t1 <= self.t2 <= 2**30
            and (self.t1 == 1 if p["top_k"] == 0 else c[0] < p["top_k"] and (p["top_k"] <= c[1] or self.t1 == 1))
            and (self.t2 == self.t1 if p["top_p_ppm"] == 10**6 else c[3] >= need and c[4] < need)
            and mine >= self.t3()
            and c[6] <= r < c[6] + mine
        )
