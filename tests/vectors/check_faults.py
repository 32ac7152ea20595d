"""Checks of right and wrong results: every fault that a vector names shows, and nothing shows where there is none."""

import choice
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
