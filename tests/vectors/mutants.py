#!/usr/bin/env python3
"""Plants one bug after another in a copy of this implementation; the vectors have to notice every one.

Usage: python3 mutants.py [folder [name...]]      exits 0 when every bug was noticed
"""

import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from planted import BUGS

HERE = pathlib.Path(__file__).resolve().parent
SECONDS = 300
# What an implementation with a bug may end with; a bug that is none in Python is not meant.
CRASHES = ("IndexError", "KeyError", "StopIteration", "TypeError", "ValueError", "struct.error")


def noticed(bug, folder):
    """None when a check fails with the bug; else why that was not seen."""
    name, file, old, new, checks = bug
    with tempfile.TemporaryDirectory() as copy:
        for source in HERE.glob("*.py"):
            shutil.copy(source, copy)
        path = pathlib.Path(copy) / file
        text = path.read_text()
        if text.count(old) != 1:
            return f"{name}: {text.count(old)} places in {file} to plant it at"
        path.write_text(text.replace(old, new))
        command = [sys.executable, f"{copy}/check.py", "--stop", str(folder), *checks.split()]
        run = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    crashed = run.stderr.strip().splitlines()[-1:] or [""]
    if run.returncode == 1 and ("FAILED" in run.stdout or crashed[0].split(":")[0] in CRASHES):
        return None
    return f"{name}: not noticed by {checks}: {(run.stdout + run.stderr)[-300:]}"


def main(arguments):
    folder = pathlib.Path(arguments[0]) if arguments else HERE
    bugs = [bug for bug in BUGS if not arguments[1:] or bug[0] in arguments[1:]]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        left = [why for why in pool.map(lambda bug: noticed(bug, folder), bugs) if why]
    for why in left:
        print("LEFT", why)
    print(f"{len(bugs)} bugs, {len(left)} not noticed")
    return 1 if left or not bugs else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
