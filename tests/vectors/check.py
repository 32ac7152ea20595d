#!/usr/bin/env python3
"""Recomputes every test vector from the text of prover/SPEC.md: an implementation of its own, with the standard library only.

Usage: python3 check.py [folder]      exits 0 when everything agrees, else prints what differs and exits 1
"""

import hashlib
import json
import math
import pathlib
import struct
import sys

FOLDER = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent
failures = []
checks = 0


def expect(what, found, expected):
    global checks
    checks += 1
    if found != expected:
        failures.append(f"{what}: computed {str(found)[:200]}, the file has {str(expected)[:200]}")


def load(name):
    content = json.loads((FOLDER / name).read_text())
    expect(f"{name}: machine_version", content["machine_version"], 1)
    return content


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


CHUNK = 131072


def chunk_paths(text):
    """(start, length, path) of every chunk."""
    if len(text) <= CHUNK:
        return [(0, len(text), [])]
    leaves = text_leaves(text)
    return [(s, min(CHUNK, len(text) - s), path(leaves, s // CHUNK, 9)) for s in range(0, len(text), CHUNK)]


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


# ---------------------------------------------------------------- records, params, payloads (section 6)


def word(value):
    if isinstance(value, bytes):
        return value.rjust(32, b"\0")
    return (int(value) % 2**256).to_bytes(32, "big")


def record(tag, *fields):
    return sha256(tag.encode().ljust(32, b"\0") + b"".join(word(field) for field in fields))


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


def decode_payload(data):
    """The segments, or None for a malformed payload."""
    if data[:1] != b"\x01":
        return None
    at, segments = 1, []
    while at < len(data):
        kind, number = data[at], data[at + 1 : at + 5]
        if kind > 1 or len(number) < 4:
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


def check_payloads():
    file = load("payloads.json")
    for case in file["valid"]:
        payload = unhex(case["payload"])
        expect("payload " + case["payload"][:40], decode_payload(payload), case["segments"])
        expect("length of payload " + case["payload"][:40], len(payload), case["length"])
        expect("root of payload " + case["payload"][:40], tohex(root(text_leaves(payload))), case["root"])
    for case in file["malformed"]:
        expect(f"payload {case['payload']} ({case['why']})", decode_payload(unhex(case["payload"])), None)


# ---------------------------------------------------------------- seeds (sections 6 and 9)


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


def check_run(what, run):
    """A run of claims.json: tokens, offsets and text are the pattern's."""
    expect(what + ": tokens", tohex(numbers_root(pattern_numbers(run["n_tokens"]))), run["tokens_root"])
    offsets = pattern_numbers(run["n_tokens"] - run["n_prompt"])
    expect(what + ": offsets", tohex(numbers_root(offsets)), run["offsets_root"])
    expect(what + ": text", tohex(root(text_leaves(pattern(run["text_length"])))), run["text_root"])
    expect(what + ": score and greedy of a generated run", (run["score"], run["greedy"]), (0, False))
    expect(what, tohex(run_digest(run)), run["digest"])


def job_digest(input_id, n_runs, runs_root, score_root):
    return record("sworn/job/1", input_id, n_runs, runs_root, score_root)


def check_claims():
    file = load("claims.json")
    jobs = []
    for i, job in enumerate(file["jobs"]):
        for j, run in enumerate(job["runs"]):
            check_run(f"job {i}, run {j}", run)
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


def check_pairs(what, xs, ys, function):
    expect(what + ": lengths", len(xs), len(ys))
    for x, y in zip(numbers(xs), numbers(ys)):
        expect(f"{what}({x:#x})", hex(function(x)), hex(y))


def check_arithmetic():
    file = load("arithmetic.json")
    check_pairs("exp", file["exp"]["x"], file["exp"]["y"], lambda x: bits_of(exp(value(x))))
    check_pairs("silu", file["silu"]["x"], file["silu"]["y"], lambda x: bits_of(silu(value(x))))
    check_pairs("f32_to_f16", file["f32_to_f16"]["x"], file["f32_to_f16"]["h"], lambda x: f32_to_f16(value(x)))
    check_pairs("f16_to_f32", file["f16_to_f32"]["h"], file["f16_to_f32"]["x"], lambda h: bits_of(f16_to_f32(h)))
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


def check_manifest():
    names = {file.name for file in FOLDER.glob("*.json")} - {"MANIFEST.json"}
    manifest = load("MANIFEST.json")["sha256"]
    expect("files of the manifest", set(manifest), names)
    for name in names & set(manifest):
        expect(name, tohex(sha256((FOLDER / name).read_bytes())), manifest[name])


for check in (
    check_manifest, check_merkle, check_texts, check_records, check_params, check_payloads, check_seeds,
    check_accumulators, check_claims, check_vouchers, check_arithmetic, check_selection,
):  # fmt: skip
    before = checks
    check()
    print(f"{check.__name__[6:]}: {checks - before} checks")
for failure in failures[:20]:
    print("FAILED", failure)
print(f"{checks} checks, {len(failures)} failed")
sys.exit(1 if failures else 0)
