"""Loads exported preference rows with Hugging Face datasets and checks the columns that TRL's DPO trainer takes.

Usage: check_export.py STRICT.jsonl FULL.jsonl CONVERSATIONS.jsonl
"""

import sys
import tempfile

import datasets


def load(path):
    with tempfile.TemporaryDirectory() as cache:
        rows = datasets.load_dataset("json", data_files=path, split="train", cache_dir=cache)
        return rows.column_names, rows.features, [dict(row) for row in rows]


def check_dpo(path, columns):
    names, features, rows = load(path)
    assert sorted(names) == sorted(columns), f"{path}: columns {names}, expected {columns}"
    assert rows, f"{path}: no rows"
    for name in ("prompt", "chosen", "rejected"):
        assert features[name].dtype == "string", f"{path}: {name} is {features[name]}, expected strings"
    for row in rows:
        assert row["prompt"] and row["chosen"] and row["rejected"], f"{path}: empty text in {row}"
        assert row["chosen"] != row["rejected"], f"{path}: chosen equals rejected in {row}"
    return len(rows)


def main():
    strict, full, conversations = sys.argv[1:4]
    n_strict = check_dpo(strict, ["prompt", "chosen", "rejected"])
    n_full = check_dpo(full, ["prompt", "chosen", "rejected", "metadata"])
    assert n_strict == n_full, f"{n_strict} strict rows, {n_full} full rows"
    _, _, rows = load(conversations)
    assert rows, f"{conversations}: no rows"
    print(f"datasets {datasets.__version__}: {n_strict} preference rows, {len(rows)} conversations load")


if __name__ == "__main__":
    main()
