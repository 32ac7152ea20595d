#!/usr/bin/env python3
"""Recomputes every test vector with machine.py, an implementation of prover/SPEC.md that shares no code with the Rust one.

Usage: python3 check.py [--stop] [folder [check[:part]...]]

Exits 0 when everything agrees, else prints what differs and exits 1. `--stop`: at the first difference.
"""

import pathlib
import sys

sys.dont_write_bytecode = True

import checking  # noqa: E402
import steps as challenge  # noqa: E402
from check_faults import *  # noqa: E402, F403
from checking import expect, load  # noqa: E402
from machine import *  # noqa: E402, F403


def check_merkle():
    file = load("merkle.json")
    for k, digest in enumerate(file["empty"]):
        expect(f"Z({k})", tohex(Z[k]), digest)
    for case in file["cases"]:
        leaves = [unhex(leaf) for leaf in case["leaves"]]
        what = f"tree of {case['count']}"
        expect(what + ": leaves", len(leaves), case["count"])
        expect(what + ": depth", depth(len(leaves)), case["depth"])
        expect(what + ": root", tohex(root(leaves)), case["root"])
        expect(what + ": paths", [[tohex(d) for d in path(leaves, i)] for i in range(len(leaves))], case["paths"])
        for i, siblings in enumerate(case["paths"]):
            expect(what + f": path {i} followed", tohex(follow(leaves[i], i, map(unhex, siblings))), case["root"])


def check_texts():
    file = load("texts.json")
    for case in file["patterns"]:
        text = pattern(case["length"])
        what = f"pattern of {len(text)}"
        leaves = text_leaves(text)
        expect(what + ": root", tohex(root(leaves)), case["root"])
        expect(what + ": depth", depth(len(leaves)), case["depth"])
        chunks = [{"start": s, "length": n, "path": [tohex(d) for d in p]} for s, n, p in chunk_paths(text)]
        expect(what + ": chunks", chunks, case["chunks"])
        expect(what + ": chunk count", len(chunks), case["chunk_count"])
    for case in file["literals"]:
        expect("text " + case["bytes"][:40], tohex(root(text_leaves(unhex(case["bytes"])))), case["root"])
    for case in file["numbers"]:
        expect(f"list of {case['count']}", tohex(numbers_root(pattern_numbers(case["count"]))), case["root"])


FIELDS = {"tokenizer": 7, "model": 4, "input": 10, "seed": 5, "accumulator": 3, "draw": 3, "run": 9, "job": 4, "claim": 7}
TAGS = {name: f"sworn/{'inbox' if name == 'accumulator' else name}/1" for name in FIELDS}


def check_records():
    seen = set()
    for i, case in enumerate(load("records.json")["cases"]):
        name = case["record"]
        seen.add(name)
        fields = [unhex(field) for field in case["fields"]]
        tag = case["tag_text"]
        if name != "any":
            expect(f"record {i}: tag", TAGS[name], tag)
            expect(f"record {i}: fields", len(fields), FIELDS[name])
        expect(f"record {i}: tag bytes", tohex(tag.encode().ljust(32, b"\0")), case["tag"])
        expect(f"record {i}: words of 32 bytes", {len(field) for field in fields} <= {32}, True)
        expect(f"record {i} ({name})", tohex(record(tag, *fields)), case["digest"])
    expect("kinds of records", seen, set(FIELDS) | {"any"})


def check_params():
    file = load("params.json")
    for group in ("valid", "invalid"):
        expect(f"{group} params", len(file[group]), file[group + "_count"])
        for case in file[group]:
            expect("params word", tohex(params_word(case)), case["word"])
            expect("params " + case["word"], params_error(case), case["error"])
            expect(f"{group} params " + case["word"], case["error"] == "", group == "valid")
    for case in file["reserved"]:
        expect("reserved bytes of " + case, any(unhex(case)[27:]), True)


def check_payloads():
    file = load("payloads.json")
    for case in file["valid"]:
        payload = unhex(case["payload"])
        expect("payload " + case["payload"][:40], decode_payload(payload), case["segments"])
        expect("length of payload " + case["payload"][:40], len(payload), case["length"])
        expect("root of payload " + case["payload"][:40], tohex(root(text_leaves(payload))), case["root"])
    for case in file["malformed"]:
        expect(f"payload {case['payload']} ({case['why']})", decode_payload(unhex(case["payload"])), None)


def check_seeds():
    expect("keccak256 of nothing", keccak256(b"").hex(), "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470")
    file = load("seeds.json")
    for case in file["headers"]:
        rlp = unhex(case["rlp"])
        expect("mixHash", tohex(mix_hash(rlp)), case["mix_hash"])
        expect("block hash", tohex(keccak256(rlp)), case["block_hash"])
    for case in file["malformed_headers"]:
        expect("malformed header " + case[:40], mix_hash(unhex(case)), None)
    for case in file["cases"]:
        seed = record(
            "sworn/seed/1",
            case["chain_id"],
            unhex(case["inbox"]),
            case["input_id"],
            unhex(case["mix_hash"]),
            unhex(case["block_hash"]),
        )
        expect("seed", tohex(seed), case["seed"])


def check_accumulators():
    accumulator = bytes(32)
    for i, case in enumerate(load("accumulators.json")["cases"]):
        accumulator = record("sworn/inbox/1", accumulator, unhex(case["input"]), unhex(case["seed"]))
        expect(f"accumulator {i}", tohex(accumulator), case["accumulator"])


# ---------------------------------------------------------------- runs, jobs, claims, vouchers (sections 6 and 8)

def compare_run(what, run):
    """A run of claims.json: tokens, offsets and text are the pattern's."""
    expect(what + ": tokens", tohex(numbers_root(pattern_numbers(run["n_tokens"]))), run["tokens_root"])
    offsets = pattern_numbers(run["n_tokens"] - run["n_prompt"])
    expect(what + ": offsets", tohex(numbers_root(offsets)), run["offsets_root"])
    expect(what + ": text", tohex(root(text_leaves(pattern(run["text_length"])))), run["text_root"])
    expect(what + ": score and greedy of a generated run", (run["score"], run["greedy"]), (0, False))
    expect(what, tohex(run_digest(run)), run["digest"])


def check_claims():
    file = load("claims.json")
    jobs = []
    for i, job in enumerate(file["jobs"]):
        for j, run in enumerate(job["runs"]):
            compare_run(f"job {i}, run {j}", run)
        expect(f"job {i}: runs", len(job["runs"]), job["n_runs"])
        runs_root = root([run_digest(run) for run in job["runs"]])
        expect(f"job {i}: runs root", tohex(runs_root), job["runs_root"])
        expect(f"job {i}: score root", job["score_root"], tohex(bytes(32)))
        jobs.append(job_digest(job["input_id"], job["n_runs"], runs_root, bytes(32)))
        expect(f"job {i}", tohex(jobs[-1]), job["digest"])
    for lane in file["lanes"]:
        expect(f"lane of {lane['count']}", tohex(root(jobs[: lane["count"]])), lane["root"])
    # A malformed payload: one prompt token, BOS (here 1), finish too_long, no text.
    run = file["malformed_payload_run"]
    shape = (run["n_prompt"], run["n_tokens"], run["finish"], run["text_length"])
    expect("run of a malformed payload", shape, (1, 1, 2, 0))
    expect("its tokens", tohex(numbers_root([1])), run["tokens_root"])
    expect("its offsets and text", [run["offsets_root"], run["text_root"]], [tohex(bytes(32))] * 2)
    expect("its record", tohex(run_digest(run)), run["digest"])
    return jobs


def check_vouchers():
    file = load("vouchers.json")
    claim = file["claim"]
    claim_id = record(
        "sworn/claim/1",
        claim["chain_id"],
        unhex(claim["claims"]),
        claim["epoch"],
        *(unhex(claim[name]) for name in ("model_id", "accumulator", "root", "proposer")),
    )
    expect("claim id", tohex(claim_id), claim["claim_id"])
    lanes = load("claims.json")["lanes"]
    expect("claim root", claim["root"], lanes[claim["lane_count"] - 1]["root"])
    for i, case in enumerate(file["cases"]):
        what = f"voucher {i}"
        run = case["record"]
        job_path, run_path, chunk_path = ([unhex(d) for d in case[name]] for name in ("job_path", "run_path", "chunk_path"))
        expect(what + ": run record", tohex(run_digest(run)), run["digest"])

        expect(what + ": depth of the lane", len(job_path), depth(claim["lane_count"]))
        job = job_digest(case["input_id"], case["n_runs"], unhex(case["runs_root"]), unhex(case["score_root"]))
        expect(what + ": job", tohex(follow(job, case["lane_index"], job_path)), claim["root"])

        expect(what + ": depth of the runs", len(run_path), depth(case["n_runs"]))
        expect(what + ": run", tohex(follow(unhex(run["digest"]), case["run"], run_path)), case["runs_root"])

        text = pattern(run["text_length"])
        start, length, expected_path = chunk_paths(text)[case["chunk"]]
        expect(what + ": bytes", (start, length), (case["chunk_start"], case["chunk_length"]))
        expect(what + ": chunk path", chunk_path, expected_path)
        leaves = text_leaves(text[start : start + length])
        if len(text) > CHUNK:
            leaves += [Z[0]] * (512 - len(leaves))
        expect(what + ": text", tohex(follow(root(leaves), case["chunk"], chunk_path)), run["text_root"])


def compare_pairs(what, xs, ys, function):
    expect(what + ": lengths", len(xs), len(ys))
    for x, y in zip(numbers(xs), numbers(ys)):
        expect(f"{what}({x:#x})", hex(function(x)), hex(y))


def check_arithmetic():
    file = load("arithmetic.json")
    compare_pairs("exp", file["exp"]["x"], file["exp"]["y"], lambda x: bits_of(exp(value(x))))
    compare_pairs("silu", file["silu"]["x"], file["silu"]["y"], lambda x: bits_of(silu(value(x))))
    compare_pairs("f32_to_f16", file["f32_to_f16"]["x"], file["f32_to_f16"]["h"], lambda x: f32_to_f16(value(x)))
    compare_pairs("f16_to_f32", file["f16_to_f32"]["h"], file["f16_to_f32"]["x"], lambda h: bits_of(f16_to_f32(h)))
    for x, k in zip(numbers(file["key"]["x"]), file["key"]["key"]):
        expect(f"key({x:#x})", key(x), k)

    table = file["inverse_root"]
    for total, n, eps, result in zip(numbers(table["sum"]), table["n"], numbers(table["eps"]), numbers(table["result"])):
        found = div(1.0, sqrt(add(div(value(total), f32(n)), value(eps))))
        expect(f"norm_stat of {total:#x}", hex(bits_of(found)), hex(result))
    for i, case in enumerate(file["quantise"]):
        d, q = quantise(numbers(case["x"]))
        expect(f"quantise {i}: scale", hex(d), hex(int(case["d"], 16)))
        expect(f"quantise {i}: integers", q, list(signed_bytes(case["q"])))
        expect(f"quantise {i}: range", all(-127 <= x <= 127 for x in q), True)
    for i, case in enumerate(file["block_value"]):
        total = sum(w * x for w, x in zip(signed_bytes(case["w"]), signed_bytes(case["x"])))
        d_w, d_x = value(int(case["d_w"], 16)), value(int(case["d_x"], 16))
        found = mul(mul(d_w, d_x), f32(total))
        expect(f"block value {i}", bits_of(found), int(case["value"], 16))
    for i, case in enumerate(file["tile_sum"]):
        found = tile_sum([value(x) for x in numbers(case["x"])])
        expect(f"tile sum {i}", hex(bits_of(found)), hex(int(case["sum"], 16)))
    table = file["rope"]
    for row in zip(*(numbers(table[name]) for name in ("x0", "x1", "cos", "sin", "y0", "y1"))):
        x0, x1, c, s = map(value, row[:4])
        y0, y1 = add(mul(x0, c), -mul(x1, s)), add(mul(x0, s), mul(x1, c))
        expect("rope", (bits_of(y0), bits_of(y1)), row[4:])


def check_selection():
    file = load("selection.json")
    lists = [numbers(logits) for logits in file["logits"]]
    for i, case in enumerate(file["cases"]):
        found = select(lists[case["list"]], case)
        expect(f"selection {i}", found, (case["token"], case["threshold"], case["total"]))
    for case in file["draws"]:
        draw = record("sworn/draw/1", unhex(case["seed"]), case["run"], case["position"])
        expect("draw", tohex(draw[:8]), case["h64"])
    table = file["masses"]
    for logit, best, temperature, found in zip(
        numbers(table["logit"]), numbers(table["best"]), table["temperature_milli"], table["mass"]
    ):
        expect("mass", mass(value(logit), value(best), temperature), found)



def check_tokenizer():
    for case in load("tokenizer.json")["tokenizers"]:
        what = "tokenizer " + case["name"]
        tokenizer = tokenizer_of(case)
        expect(what + ": trusted", tokenizer.is_trusted(), bool(case["flags"] & 4))
        expect(what + ": merges", [list(merge) for merge in tokenizer.merges], case["merges"])
        expect(what + ": table", [list(entry) for entry in tokenizer.table()], case["table"])
        names = ("table_root", "merges_root", "tokenizer_root")
        expect(what + ": roots", [tohex(digest) for digest in tokenizer.roots()], [case[name] for name in names])
        for encoding in case["encodings"]:
            tokens = tokenizer.encode(encoding["segments"])
            expect(f"{what}: tokens of {encoding['segments']}", tokens, encoding["tokens"])
            expect(f"{what}: text of {tokens}", tohex(tokenizer.decode(tokens)), encoding["text"])


def check_machine():
    finishes = set()
    for case in load("machine.json")["models"]:
        what = case["format"] + " model"
        program = Program(unhex(case["program"]))
        tensors = [
            Weights(w["format"], w["cols"], [[unhex(tile) for tile in row] for row in w["rows"]]) for w in case["weights"]
        ]
        tokenizer = tokenizer_of(case)
        program_root = sha256(unhex(case["program"]))
        weights_root = root([tensor.root() for tensor in tensors])
        tokenizer_root = tokenizer.roots()[2]
        model_id = record("sworn/model/1", 1, program_root, weights_root, tokenizer_root)
        expect(what + ": program root", tohex(program_root), case["program_root"])
        expect(what + ": weights root", tohex(weights_root), case["weights_root"])
        expect(what + ": tokenizer root", tohex(tokenizer_root), case["tokenizer_root"])
        expect(what + ": id", tohex(model_id), case["model_id"])

        params = params_of(unhex(case["params"]))
        runs = generate(program, tensors, tokenizer, params, unhex(case["payload"]), unhex(case["seed"]))
        expect(what + ": runs", len(runs), params["n_runs"])
        digests = []
        for i, (run, expected) in enumerate(zip(runs, case["runs"])):
            expect(f"{what}: run {i}", {**run, "text": tohex(run["text"])}, expected)
            roots = (numbers_root(run["tokens"]), numbers_root(run["offsets"]), root(text_leaves(run["text"])))
            fields = (run["n_prompt"], len(run["tokens"]), run["finish"], *roots, len(run["text"]), 0, 0)
            digests.append(record("sworn/run/1", *fields))
            finishes.add(run["finish"])
        job = job_digest(case["input_id"], len(runs), root(digests), bytes(32))
        expect(what + ": job", tohex(job), case["job"])

        rows = program.logits(tensors, case["runs"][0]["tokens"])
        expect(what + ": last logits", [f"0x{bits_of(x):08x}" for x in rows[-1]], case["last_logits"])
        every = b"".join(bits_of(x).to_bytes(4, "big") for row in rows for x in row)
        expect(what + ": all logits", tohex(sha256(every)), case["logits_sha256"])
    expect("finish codes met", finishes, {0, 1})


class Opened:
    """Leaves that were opened, each checked under its root."""

    def __init__(self, what, case, layout, tensors, trace_root, weights_root):
        self.rows, self.tiles = {}, {}
        for leaf in case["trace"]:
            data, index = unhex(leaf["data"]), (leaf["row"] << layout.row_depth) + leaf["leaf"]
            expect(what + ": leaf", tohex(follow(sha256(data), index, map(unhex, leaf["path"]))), trace_root)
            self.rows[leaf["row"], leaf["leaf"]] = data
        for leaf in case["weights"]:
            w = tensors[leaf["tensor"]]
            tile_depth = depth(-(-w.cols // 256))
            height = tile_depth + depth(len(w.rows))
            index = (leaf["tensor"] << height) + (leaf["row"] << tile_depth) + leaf["tile"]
            data = unhex(leaf["data"])
            expect(what + ": weight", tohex(follow(sha256(data), index, map(unhex, leaf["path"]))), weights_root)
            self.tiles[leaf["tensor"], leaf["row"], leaf["tile"]] = data

    def leaf(self, row, leaf):
        return self.rows[row, leaf]

    def weight(self, tensor, row, tile):
        return self.tiles[tensor, row, tile]


def stored(kind, element):
    """An element as steps.json has it."""
    if kind == "f16":
        return [f32_to_f16(element)]
    return [bits_of(element[0]), element[1]] if isinstance(element, tuple) else [bits_of(element)]


def compare_node(what, node, trace, elements, run, params):
    """The contents of a node of a run, and its position."""
    kind = challenge.KINDS[node["kind"] - 1]
    fields = {name: node[name] for name in ("run", "height", "index", "a", "b", "c")}
    what = f"{what}, {kind} {[v for v in fields.values()]}"
    expect(what + ": position", tohex(challenge.position(kind, 0, **fields)), node["position"])
    if kind in ("trace", "tokens", "offsets", "text"):
        trees = {
            "trace": lambda: trace.tree,
            "tokens": lambda: challenge.list_tree(run["tokens"]),
            "offsets": lambda: challenge.list_tree(run["offsets"]),
            "text": lambda: challenge.text_tree(unhex(run["text"])),
        }
        tree = trees[kind]()
        found = [tohex(thing) for thing in tree.opened(node["height"], node["index"])]
    elif kind == "totals":
        found = tohex(elements.totals(node["a"], node["index"], node["b"]) or b"")
    elif kind == "tile":
        found = tohex(elements.tile(node["a"], node["index"], node["b"], node["c"]))
    else:
        place, last = node["index"], trace.layout.steps[-1]
        logits = [bits_of(challenge.read(trace, last, place - 1, i)) for i in range(last.elements)]
        choice = challenge.Choice(logits, run["tokens"][place], params)
        if kind == "selection":
            found = tohex(choice.selection())
            h64 = record("sworn/draw/1", unhex(params["seed"]), node["run"], place)[:8]
            expect(what + ": choice", choice.is_right(int.from_bytes(h64, "big")), True)
        else:
            found = tohex(choice.group(node["a"], node["b"]))
    expect(what, found, node["contents"])
    if kind in challenge.KINDS[6:]:
        digest = challenge.contents_digest({**fields, "kind": kind}, unhex(node["contents"]))
        expect(what + ": digest", tohex(digest), node["digest"])
    return kind


def check_steps(name=""):
    """Of all models, or of one."""
    file, machines = load("steps.json"), load("machine.json")["models"]
    kinds, operations = set(), set()
    for case in file["models"]:
        if not case["name"].startswith(name):
            continue
        machine = machines[case["machine"]] if "machine" in case else case
        program, tensors = Program(unhex(machine["program"])), tensors_of(machine)
        params = {**params_of(unhex(case.get("params", tohex(bytes(32))))), "seed": case.get("seed")}
        in_job, trees = [], []
        for run in case["runs"]:
            what = f"{case['name']} model, run {run['run']}"
            trace = challenge.Trace(program, tensors, run["tokens"], run["n_prompt"])
            layout = trace.layout
            found = ([step.first for step in layout.steps], layout.row_leaves, layout.row_depth)
            expect(what + ": layout", found, (run["first"], run["row_leaves"], run["row_depth"]))
            expect(what + ": rows", (trace.rows, trace.tree.depth), (run["rows"], run["depth"]))
            expect(what + ": trace root", tohex(trace.root()), run["trace_root"])
            in_job += trace.tree.in_job(len(case["runs"]))
            trees.append(trace.tree)
            elements = challenge.Elements(layout, trace, lambda row: run["tokens"][row])
            answer = {"offsets": [0] * (len(run["tokens"]) - run["n_prompt"]), "text": "0x", "tokens": run["tokens"]}
            if "machine" in case:
                answer = machine["runs"][run["run"]]
            for node in run["nodes"]:
                kinds.add(compare_node(what, node, trace, elements, answer, params))
            for element in run["elements"]:
                step = layout.steps[element["step"]]
                operations.add(step.op)
                place = f"{what}, step {step.number} (operation {step.op}) element {element['element']}"
                opened = Opened(place, element, layout, tensors, run["trace_root"], machine["weights_root"])
                alone = challenge.Elements(layout, opened, lambda row: run["tokens"][row])
                found = alone.element(step.number, element["row"], element["element"])
                expect(place, stored(step.kind, found), element["value"])
            for row, number, bits in run.get("values", []):
                kind = layout.steps[number].kind
                found = [stored(kind, elements.element(number, row, e)) for e in range(len(bits))]
                expect(f"{what}, row {row}, step {number} (operation {layout.steps[number].op})", found, bits)
        expect(f"{case['name']} model: digests of its job", [tohex(digest) for digest in in_job], case["in_job"])
        for job in case.get("jobs", []):
            found = [tohex(d) for i in range(job["runs"]) for d in trees[i % len(trees)].in_job(job["runs"])]
            expect(f"{case['name']} model: digests of a job of {job['runs']} runs", found, job["digests"])
    jobs = [unhex(job) for job in file["claim"]["jobs"]]
    for node in file["claim"]["nodes"]:
        found = challenge.claim_node(jobs, node["height"], node["index"])
        expect(f"claim node {node['height']} {node['index']}", [tohex(digest) for digest in found], node["contents"])
        position = challenge.position("claim", height=node["height"], index=node["index"])
        expect("its position", tohex(position), node["position"])
    if name:
        return
    expect("operations met", operations, set(range(1, 13)))
    expected = {"trace", "tokens", "offsets", "text", "totals", "tile", "selection", "group"}
    expect("kinds of nodes met", kinds, expected)


def check_manifest():
    names = {file.name for file in checking.state["folder"].glob("*.json")} - {"MANIFEST.json"}
    manifest = load("MANIFEST.json")["sha256"]
    expect("files of the manifest", set(manifest), names)
    for name in names & set(manifest):
        expect(name, tohex(sha256((checking.state["folder"] / name).read_bytes())), manifest[name])


CHECKS = {name[6:]: check for name, check in list(globals().items()) if name.startswith("check_") and callable(check)}
arguments = sys.argv[1:]
if arguments[:1] == ["--stop"]:
    checking.state["stop"] = True
    arguments = arguments[1:]
if arguments:
    checking.state["folder"] = pathlib.Path(arguments[0])
for name in arguments[1:] or CHECKS:
    before = checking.state["checks"]
    check, *which = name.split(":")
    CHECKS[check](*which)
    print(f"{name}: {checking.state['checks'] - before} checks")
checking.report()
