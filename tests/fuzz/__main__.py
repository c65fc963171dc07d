"""Fuzzing by the thousand; the short version runs with the other tests.

    python -m tests.fuzz [frames|specs|intake|answers ...] [--inputs 100000] [--seed 0] [--save]

Each input is read or refused with one of the errors that its reader defines. Anything else ends the run with a
traceback. ``answers`` lies to the checks: a child that answers well-formed frames with any content, which may fail a
check and may never be a grader error.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from grader.batch.ledger import grader_hash
from grader.outcome import write_whole
from tests.fuzz import answers, frames, intake, specs

RESULTS = Path(__file__).with_name("RESULTS.json")
FUZZERS: dict[str, Callable[[int, int], Counter[str]]] = {
    "frames": frames.fuzz,
    "specs": specs.fuzz,
    "intake": intake.fuzz,
    "answers": answers.fuzz,
}


def main() -> int:
    """Print how the inputs ended."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=(__doc__ or "").split("\n", maxsplit=1)[0]
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(FUZZERS)} (default: all)")
    parser.add_argument("--inputs", type=int, default=100_000, help="of each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", action="store_true", help=f"keep the counts in {RESULTS.name}")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in FUZZERS]
    if unknown:
        parser.error(f"nothing is called {', '.join(unknown)}; there are {', '.join(FUZZERS)}")
    for name in options.names or FUZZERS:
        started = time.perf_counter()
        ended = FUZZERS[name](options.inputs, options.seed)
        print(
            f"{name}: {options.inputs:,} inputs, seed {options.seed}, {time.perf_counter() - started:.0f} s"
        )
        for what, count in ended.most_common():
            print(f"  {count:>8,} {what}")
        if options.save:
            known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
            known[name] = {
                "grader": grader_hash(), "inputs": options.inputs, "seed": options.seed,
                "ended": dict(ended.most_common()),
            }  # fmt: skip
            write_whole(RESULTS, json.dumps(known, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
