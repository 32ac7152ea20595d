"""Checks of right and wrong results: every fault that a vector names shows, and nothing shows where there is none."""

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
