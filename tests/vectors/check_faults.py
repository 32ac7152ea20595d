"""Checks of right and wrong results: every fault that a vector names shows, and nothing shows where there is none."""

import choice
import disputes
import results
from checking import expect, load
from machine import *  # noqa: F403
from prompts import Prompt, Tables
from steps import KINDS


def tokenizer_of(case):
    tokens = [(unhex(piece), kind, value(int(score, 16))) for piece, kind, score in case["tokens"]]
    return Tokenizer(tokens, case["flags"], case["bos"])


BASE = [[tohex(piece), kind, "0x00000000"] for piece, kind in ((b"<unk>", 2), (b"<s>", 3), (b"</s>", 3))]
BASE += [[tohex(b"<0x%02X>" % byte), 6, "0x00000000"] for byte in range(256)]


def check_prompts():
    file = load("prompts.json")
    tables = [Tables(tokenizer_of({**v, "tokens": BASE + v["tokens"]})) for v in file["vocabularies"]]
    for vocabulary, made in zip(file["vocabularies"], tables):
        what = f"vocabulary {vocabulary['name']}"
        expect(what + ": trusted", made.tokenizer.is_trusted(), bool(vocabulary["flags"] & 4))
    expect("prompts", len(file["cases"]), file["count"])
    codes = set()
    for i, case in enumerate(file["cases"]):
        contents = unhex(case["prompt"]), [unhex(s) for s in case["starts"]], unhex(case["malformed"])
        payload = unhex(case["payload"])
        prompt = Prompt(tables[case["vocabulary"]], payload, case["tokens"], case["n_prompt"], case["finish"], *contents)
        found = prompt.faults()
        codes.add(case["fault"])
        if case["fault"] == 0:
            expect(f"prompt {i}: faults of a right one", found, [])
        else:
            fault = (case["fault"], KINDS[case["kind"] - 1], case["index"])
            expect(f"prompt {i}: {fault} among {found}", fault in found, True)
    expect("faults of prompts met", codes, {0, *range(48, 58)})


def check_results():
    file = load("results.json")
    columns = file["shapes"]
    for index, n_prompt, n_tokens, finish, wrong in zip(*(columns[n] for n in ("limits", "n_prompt", "n_tokens", "finish", "wrong"))):
        some = n_tokens > n_prompt
        rest = {"text_length": int(some), "score": 0, "greedy": False}
        rest.update(offsets_root=sha256(b"") if some else bytes(32), text_root=sha256(b"") if some else bytes(32))
        run = {"n_prompt": n_prompt, "n_tokens": n_tokens, "finish": finish, **rest}
        limits = file["limits"][index]
        found = results.shape_is_wrong(run, file["context"], *limits)
        expect(f"shape {n_prompt} {n_tokens} {finish} under {limits}", found, bool(wrong))
    for case in file["fields"]:
        run = {**case, "offsets_root": unhex(case["offsets_root"]), "text_root": unhex(case["text_root"])}
        found = results.shape_is_wrong(run, file["context"], *file["field_limits"])
        expect(f"fields {case}", found, case["wrong"])
    for case in file["expansions"]:
        job = {**case, "score_root": unhex(case["score_root"])}
        found = results.expansion_is_wrong(case["lane_input_id"], case["n_runs"], job)
        expect(f"expansion {case}", found, case["wrong"])


def changed(run, change):
    """A run of results.json with one thing changed."""
    out = {**run, **{kind: [bytearray(unhex(leaf)) for leaf in run[kind]] for kind in LISTS}}
    what, *rest = change or ["nothing"]
    if what in ("finish", "text_length"):
        out[what] = rest[0]
    elif what == "shifted":
        out["text_length"] += 1
        for i in range(run["n_tokens"] - run["n_prompt"]):
            leaf, at = out["offsets"][i // 64], 4 * (i % 64)
            struct.pack_into("<I", leaf, at, struct.unpack_from("<I", leaf, at)[0] + 1)
    elif what != "nothing":
        leaves, at, new = out[KINDS[rest[0] - 1]], rest[1], rest[2]
        if what == "number":
            leaves[at // 64][4 * (at % 64) : 4 * (at % 64) + 4] = struct.pack("<I", new)
        elif what == "byte":
            leaves[at // 256][at % 256] = new
        else:
            leaves[at] = leaves[at][:new].ljust(new, b"\0")
    return out


LISTS = ("tokens", "offsets", "text")


def check_lists():
    file = load("results.json")["lists"]
    vocabulary = load("prompts.json")["vocabularies"][file["vocabulary"]]
    tokenizer = tokenizer_of({**vocabulary, "tokens": BASE + vocabulary["tokens"]})
    codes = set()
    for run in file["runs"]:
        for case in run["cases"]:
            claimed = changed(run, case["change"])
            lists = results.Lists(tokenizer, file["size"], file["stop_tokens"], claimed, claimed)
            named = {(kind, leaf): code for kind, leaf, code in case["faults"]}
            codes |= set(named.values())
            for kind in LISTS[: case["judged"]]:
                for leaf in range(len(claimed[kind])):
                    found = lists.faults(kind, leaf)
                    expected = named.get((KINDS.index(kind) + 1, leaf))
                    what = f"{kind} leaf {leaf} after {case['change']}: {expected} in {sorted(found)}"
                    expect(what, expected in found if expected else found == set(), True)
    expect("faults of lists met", codes, set(range(32, 38)))


def check_choices():
    file = load("choices.json")
    lists = [[int(bits, 16) for bits in logits] for logits in file["logits"]]
    expect("choices", len(file["cases"]), file["count"])
    codes = set()
    for i, (logits, params, h64, *told, fault, component, group) in enumerate(file["cases"]):
        claimed = choice.Claimed(lists[logits], file["params"][params], *told)
        found = claimed.faults(int(h64, 16))
        codes.add(fault)
        what = f"choice {i}, fault {fault}: {sorted(found)}"
        if fault in (choice.ARGMAX, choice.BEST, choice.CHOICE):
            expect(what, fault in found, True)
            continue
        expect(what, found, set())
        if file["params"][params]["temperature_milli"]:
            expect(what + ": sums", claimed.wrong_sum(), (component, group) if fault else None)
    expect("faults of choices met", codes, {0, 80, 81, 82, 83})


def params_of(packed):
    """A params word's fields."""
    out = {}
    for name, size in PARAMS:
        out[name], packed = int.from_bytes(packed[:size], "big"), packed[size:]
    return out


def tensors_of(case):
    return [Weights(w["format"], w["cols"], [[unhex(tile) for tile in row] for row in w["rows"]]) for w in case["weights"]]


class Models:
    """The models of machine.json and steps.json with their inputs, made when they are needed."""

    def __init__(self):
        self.machines = load("machine.json")["models"]
        self.own_cases = [case for case in load("steps.json")["models"] if "machine" not in case]
        self.made = {}

    def of(self, case):
        place = ("machine", case["machine"]) if "machine" in case else ("own", case["own"])
        if place not in self.made:
            self.made[place] = getattr(self, place[0])(place[1])
        return self.made[place]

    def machine(self, number):
        case = self.machines[number]
        given = case["input_id"], params_of(unhex(case["params"])), unhex(case["payload"]), unhex(case["seed"])
        return disputes.Model(Program(unhex(case["program"])), tensors_of(case), Tables(tokenizer_of(case)), *given)

    def own(self, number):
        """With an input of which only the number of tokens is known."""
        case = self.own_cases[number]
        run = case["runs"][0]
        limits = {"max_new_tokens": len(run["tokens"]) - run["n_prompt"], "max_total_tokens": 0}
        params = {"n_runs": 1, "temperature_milli": 0, **limits}
        return disputes.Model(Program(unhex(case["program"])), tensors_of(case), None, 1, params, b"", bytes(32))


def job_of(case, model):
    """What is claimed of a case of lies.json."""
    unpack = lambda fields: {k: unhex(v) if k.endswith("_root") else v for k, v in fields.items()}
    lists = {kind: [unhex(leaf) for leaf in case[kind]] for kind in LISTS}
    runs = [unpack(run) for run in case["runs"]]
    trace = None
    if case["trace"]:
        honest = model.trace(case["trace"]["tokens"], runs[case["run"]]["n_prompt"])
        trace = disputes.ClaimedTrace(honest, case["trace"]["bent"])
    posted = [(disputes.position_of(unhex(word)), unhex(contents or "0x")) for word, contents in case["opened"]]
    head = {"input_id": case["input_id"], "score_root": unhex(case["score_root"])}
    return disputes.Job(model, head, runs, case["run"], lists, trace, posted)


def expect_honest_row(what, job):
    """Nothing shows in the first row with logits of a trace that is right."""
    depth = job.trace.layout.row_depth
    row = job.run["n_prompt"] - 1
    for index in range(row << depth >> 2, (row + 1) << depth >> 2):
        node = {"kind": "trace", "height": 2, "index": index}
        expect(f"{what}: honest node {index}", job.faults(node), set())


def check_lies(lie=""):
    """Of all lies, or of those whose names start so."""
    file, models = load("lies.json"), Models()
    expect("lies", len(file["cases"]), file["count"])
    codes = set()
    for case in file["cases"]:
        if not case["lie"].startswith(lie):
            continue
        model = models.of(case)
        job = job_of(case, model)
        node = disputes.position_of(unhex(case["node"]))
        what = f"{case['lie']} of {'machine' if 'machine' in case else 'own'} model"
        if node["kind"] != "job":
            roots = job.list_roots()
            expect(what + ": roots", {name: job.run[name] for name in roots}, roots)
        if job.trace:
            expect(what + ": trace root", job.trace.tree.root(), job.run["trace_root"])
        expect(what + ": node", node in [at for at, _ in job.posted], True)
        found = job.faults(node)
        codes.add(case["fault"])
        expect(f"{what}: {case['fault']} among {sorted(found)}", case["fault"] in found, True)
        # Whoever opens goes on where nothing shows yet; but what follows from a bent element may be wrong too.
        for at, _ in job.posted:
            if at != node and (model.tables or at["kind"] != "tokens"):
                expect(f"{what}: {at}", sorted(job.faults(at) - {disputes.STEP, disputes.ARGMAX}), [])
        if case["lie"] == "Token(None)":
            expect_honest_row(what, job)
    if not lie:
        expect("faults of lies met", codes, {16, 17, *range(32, 38), 49, 50, 52, 54, 56, 57, *range(64, 68), 80, 81, 82, 83})
