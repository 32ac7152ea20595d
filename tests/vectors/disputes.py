"""Judges nodes of a claim about one job, written from section 10.3 of prover/SPEC.md alone."""

import math
import struct

from choice import Claimed, is_beaten
from machine import bits_of, record, unhex
from prompts import Prompt
from results import Lists, expansion_is_wrong, shape_is_wrong
from steps import ATTN_MIX, ATTN_SUM, CONTENT_LEVELS, DIRECT_TILES, KINDS, MATMUL, NORM_STAT, PER_LEAF, Elements, Trace, Tree, read, text_tree

EXPANSION, RUN_SHAPE = 16, 17
STEP, COMBINE, TOTAL, ADDENDS = 64, 65, 66, 67
ARGMAX, GROUP_SUM = 80, 83
FIELDS = (("lane", 4), ("run", 1), ("height", 1), ("index", 8), ("a", 4), ("b", 4), ("c", 4))


def position_of(word):
    """A position's fields by name."""
    out, at = {"kind": KINDS[word[0] - 1]}, 1
    for name, size in FIELDS:
        out[name] = int.from_bytes(word[at : at + size], "big")
        at += size
    return out


def same(a, b):
    """Whether elements are equal as they are stored."""
    flat = lambda x: [bits_of(x[0]), x[1]] if isinstance(x, tuple) else [bits_of(x)]
    return flat(a) == flat(b)


class ClaimedTrace:
    """The trace of some tokens with other bytes in some leaves."""

    def __init__(self, trace, bent):
        self.trace, self.layout, self.leaves = trace, trace.layout, dict(trace.tree.leaves)
        for row, leaf, data in bent:
            self.leaves[(row << self.layout.row_depth) + leaf] = unhex(data)
        self.tree = Tree(self.leaves, trace.tree.depth)

    def leaf(self, row, leaf):
        return self.leaves[(row << self.layout.row_depth) + leaf]

    def weight(self, *place):
        return self.trace.weight(*place)


class Model:
    """What decides about a claim besides its contents: the model, and the input."""

    def __init__(self, program, tensors, tables, input_id, params, payload, seed):
        self.program, self.tensors, self.tables = program, tensors, tables
        self.input_id, self.params, self.payload, self.seed = input_id, params, payload, seed
        self.traces = {}

    def trace(self, tokens, n_prompt):
        """Made once."""
        place = (tuple(tokens), n_prompt)
        if place not in self.traces:
            self.traces[place] = Trace(self.program, self.tensors, tokens, n_prompt)
        return self.traces[place]


class Job:
    """A job's contents and the lists and the trace of one of its runs; `posted`: contents by position."""

    def __init__(self, model, job, runs, number, lists, trace, posted):
        self.model, self.job, self.runs, self.number = model, job, runs, number
        self.leaves, self.trace, self.posted = lists, trace, posted
        if number >= len(runs):
            return
        self.run = runs[number]
        program = model.program
        self.lists = None
        if model.tables:
            self.lists = Lists(model.tables.tokenizer, program.vocabulary, program.stop_tokens, self.run, lists)
        self.tokens = [t for leaf in lists["tokens"] for t in struct.unpack("<64I", leaf)][: self.run["n_tokens"]]
        if trace:
            self.elements = Elements(trace.layout, trace, lambda row: self.tokens[row])

    def list_roots(self):
        """As they follow from the leaves."""
        trees = {kind: text_tree(b"".join(leaves)) for kind, leaves in self.leaves.items()}
        return {kind + "_root": tree.root() for kind, tree in trees.items()}

    def faults(self, node):
        """Codes of what shows at a node."""
        kind = node["kind"]
        if kind == "job":
            return self.job_faults()
        if kind in ("prompt", "starts", "malformed"):
            return {code for code, at, index in self.prompt_faults() if (at, index) == (kind, node["index"])}
        if kind in ("tokens", "offsets", "text"):
            return self.list_faults(node)
        # Digests show nothing.
        if kind == "trace" and node["height"] > CONTENT_LEVELS:
            return set()
        return {
            "trace": self.trace_faults,
            "totals": self.totals_faults,
            "tile": self.tile_faults,
            "selection": lambda node: self.selection(node).faults(self.h64(node["index"])),
            "group": self.group_faults,
        }[kind](node)

    def job_faults(self):
        params, found = self.model.params, set()
        if expansion_is_wrong(self.model.input_id, params["n_runs"], {**self.job, "runs": len(self.runs)}):
            found.add(EXPANSION)
        limits = self.model.program.context, params["max_new_tokens"], params["max_total_tokens"]
        return found | {RUN_SHAPE for run in self.runs if shape_is_wrong(run, *limits)}

    def prompt_faults(self):
        contents = {kind: [c for at, c in self.posted if at["kind"] == kind] for kind in ("prompt", "starts", "malformed")}
        first = lambda kind: contents[kind][0] if contents[kind] else b""
        run = self.run
        args = (first("prompt"), contents["starts"], first("malformed"))
        return Prompt(self.model.tables, self.model.payload, self.tokens, run["n_prompt"], run["finish"], *args).faults()

    def list_faults(self, node):
        kind, found = node["kind"], set()
        first = node["index"] << node["height"]
        leaves = range(first, min(first + (1 << node["height"]), len(self.leaves[kind])))
        for leaf in leaves:
            found |= self.lists.faults(kind, leaf)
            if kind == "tokens" and self.trace:
                places = range(max(64 * leaf, self.run["n_prompt"]), min(64 * leaf + 64, self.run["n_tokens"]))
                found |= {ARGMAX for place in places if self.is_beaten_at(place)}
        return found

    # choices

    def logits(self, place):
        last = self.trace.layout.steps[-1]
        return [bits_of(read(self.trace, last, place - 1, i)) for i in range(last.elements)]

    def is_beaten_at(self, place):
        logits = self.logits(place)
        greedy = self.model.params["temperature_milli"] == 0 or bits_of(math.inf) in logits
        return greedy and is_beaten(logits, self.tokens[place])

    def h64(self, place):
        return int.from_bytes(record("sworn/draw/1", self.model.seed, self.number, place)[:8], "big")

    def selection(self, node):
        """The contents of the selection of a token."""
        contents = next(c for at, c in self.posted if (at["kind"], at["index"]) == ("selection", node["index"]))
        sums = [int.from_bytes(contents[at : at + 6], "big") for at in range(12, len(contents), 6)]
        groups = [sums[at : at + 7] for at in range(0, len(sums), 7)]
        place = node["index"]
        return Claimed(self.logits(place), self.model.params, self.tokens[place], *struct.unpack_from(">III", contents), groups)

    def group_faults(self, node):
        """A group with the true sums of its leaves."""
        selection = self.selection(node)
        right = selection.right_sums()[node["b"]][node["a"]]
        return {GROUP_SUM} if right != selection.sums[node["b"]][node["a"]] else set()

    # elements

    def is_long(self, step, row):
        direct = DIRECT_TILES if step.op == MATMUL and step.format > 1 else 1
        is_sum = step.op in (MATMUL, NORM_STAT, ATTN_SUM, ATTN_MIX)
        return is_sum and self.elements.tile_count(step, row) > direct

    def trace_faults(self, node):
        layout, found = self.trace.layout, set()
        first = node["index"] << node["height"]
        for index in range(first, first + (1 << node["height"])):
            if index not in self.trace.leaves:
                continue
            row, leaf = index >> layout.row_depth, index & ((1 << layout.row_depth) - 1)
            step = next(s for s in layout.steps if s.first <= leaf < s.first + s.leaves)
            if self.leaf_is_wrong(step, row, leaf - step.first):
                found.add(STEP)
        return found

    def leaf_is_wrong(self, step, row, k):
        data, each = self.trace.leaf(row, step.first + k), PER_LEAF[step.kind]
        elements = range(each * k, min(each * (k + 1), step.elements))
        if len(data) != (288 if step.kind == "quantised" else 256) or any(unused(step.kind, len(elements), data)):
            return True
        if self.is_long(step, row) or step.op in (ATTN_SUM, ATTN_MIX):
            return False
        return any(not same(read(self.trace, step, row, e), self.elements.element(step.number, row, e)) for e in elements)

    def totals_faults(self, node):
        contents = next(c for at, c in self.posted if at == node)
        told = [x for (x,) in struct.iter_unpack(">f", contents)]
        step, row, e = self.elements.steps[node["a"]], node["index"], node["b"]
        found = set()
        if not same(self.elements.combined(step, row, e, told), read(self.trace, step, row, e)):
            found.add(COMBINE)
        right = [self.elements.tile_total(step, row, e, c) for c in range(self.elements.tile_count(step, row))]
        if step.op in (MATMUL, NORM_STAT) and any(not same(a, b) for a, b in zip(told, right)):
            found.add(TOTAL)
        return found

    def tile_faults(self, node):
        """A tile with the true weights and values."""
        step, row, e, c = self.elements.steps[node["a"]], node["index"], node["b"], node["c"]
        total = self.elements.tile_total(step, row, e, c)
        if self.elements.tile_count(step, row) == 1:
            right = self.elements.combined(step, row, e, [total])
            return set() if same(right, read(self.trace, step, row, e)) else {COMBINE}
        place = {**node, "kind": "totals", "c": 0}
        contents = next(contents for at, contents in self.posted if at == place)
        return set() if same(total, struct.unpack_from(">f", contents, 4 * c)[0]) else {ADDENDS}


def unused(kind, count, data):
    """The bytes of a leaf that are of no element."""
    size = {"f32": 4, "f16": 2, "maxima": 8, "quantised": 1}[kind]
    if kind == "quantised":
        return data[4 * (count // 32) : 32] + data[32 + count :]
    return data[size * count :]
