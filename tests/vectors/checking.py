"""What checks count and find."""

import json
import pathlib
import sys

OWN_FOLDER = pathlib.Path(__file__).resolve().parent
failures = []
state = {"folder": OWN_FOLDER, "checks": 0, "stop": False}


def expect(what, found, expected):
    state["checks"] += 1
    if found != expected:
        failures.append(f"{what}: computed {str(found)[:200]}, the file has {str(expected)[:200]}")
        if state["stop"]:
            report()


def load(name):
    content = json.loads((state["folder"] / name).read_text())
    expect(f"{name}: machine_version", content["machine_version"], 1)
    return content


def report():
    """Prints what failed and ends the program."""
    for failure in failures[:20]:
        print("FAILED", failure)
    print(f"{state['checks']} checks, {len(failures)} failed")
    sys.exit(1 if failures else 0)
