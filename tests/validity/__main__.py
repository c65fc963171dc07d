"""Grades the whole corpus at the full spec and prints how often the grades are right (``make validity``).

    python -m tests.validity [KIND ...] [--seeds 1] [--out FILE]

A test suite is a classifier: correct submissions must get full marks (specificity), a fault must be caught
(sensitivity) by the check that names it (right criterion), and hostile code must gain nothing. Each row is one item
under one seed; items whose training never starts (an earlier check fails) say the same under every seed and run once.
Rows are written as they come, so a run that was stopped goes on; rows of another grader or of a changed item are
graded again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scipy.stats import binomtest
from tqdm import tqdm

from grader.batch.ledger import grader_hash
from grader.grading import grade
from grader.isolation import available_isolation
from grader.outcome import Status
from grader.spec import load_spec
from tests.corpus import KINDS, Item, Mutant, items, materialise
from tests.corpus_verdict import violations

RESULTS = Path(__file__).with_name("results.jsonl")
TABLE = Path(__file__).with_name("TABLE.md")
Row = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """One item under one seed; ``key`` changes with everything that decides its grade."""

    kind: str
    item: Item
    seed: int
    key: str


def tasks(kinds: Sequence[str], seeds: int) -> Iterator[Task]:
    code = grader_hash()
    for kind in kinds:
        for item in items(kind):
            content = hashlib.sha256(b"\0".join(n.encode() + b"\0" + c for n, c in sorted(item.files())))
            for seed in range(1, seeds + 1):
                key = f"{code}:{kind}/{item.name}:{content.hexdigest()[:12]}:{seed}"
                yield Task(kind, item, seed, key)


def run(task: Task) -> Row:
    """Grade it in the sandbox and compare with its label."""
    with tempfile.TemporaryDirectory() as folder:
        submission = materialise(task.item, Path(folder))
        report = grade(submission, load_spec().with_seed(task.seed), parts=[task.item.part])
    caught = None
    if isinstance(task.item, Mutant):
        caught = next(c.status is Status.FAILED for c in report.checks if c.id == task.item.caught_by)
    return {
        "key": task.key,
        "kind": task.kind,
        "name": task.item.name,
        "seed": task.seed,
        "score": report.score,
        "trained": "acc" in report.metrics.get(task.item.part, {}),
        "lost_points": report.score is not None and report.score < report.max_score,
        "caught_by_its_check": caught,
        "violations": violations(task.item, report.checks, report.review),
        "seconds": report.seconds,
    }


def read_rows(path: Path) -> dict[str, Row]:
    """Rows by key; a half-written last line, from a run that was killed, is dropped."""
    rows: dict[str, Row] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        rows[row["key"]] = row
    return rows


def rate(label: str, hits: int, total: int) -> str:
    """A table row with the exact (Clopper-Pearson) 95 % interval."""
    if total == 0:
        return f"| {label} | not run | |"
    interval = binomtest(hits, total).proportion_ci(confidence_level=0.95, method="exact")
    return f"| {label} | {hits} of {total} | {interval.low:.1%} to {interval.high:.1%} |"


def table(rows: Sequence[Row]) -> str:
    """The measures, as Markdown."""
    styles = [r for r in rows if r["kind"] == "styles"]
    mutants = [r for r in rows if r["kind"] == "mutants"]
    hostile = [r for r in rows if r["kind"] == "hostile"]
    wrong = [r for r in rows if r["violations"]]
    trained = sum(r["trained"] for r in rows)
    full, lost = sum(not r["lost_points"] for r in styles), sum(r["lost_points"] for r in mutants)
    named = sum(bool(r["caught_by_its_check"]) for r in mutants)
    exact = sum(not r["violations"] for r in mutants)
    gained = sum(bool(r["violations"]) for r in hostile)
    lines = [
        f"Grader `{grader_hash()}`, isolation {available_isolation()[0]}, {len(rows)} gradings, {trained} trained.",
        "",
        "| measure | count | 95 % interval |",
        "| --- | --- | --- |",
        rate("specificity: a correct style gets full marks", full, len(styles)),
        rate("sensitivity: a mutant loses points", lost, len(mutants)),
        rate("right criterion: the check that names the fault fails", named, len(mutants)),
        rate("as labelled: nothing else is lost, and the cause is named", exact, len(mutants)),
        rate("hostile submissions that gain or are not flagged as they should", gained, len(hostile)),
        "",
    ]
    lines += [f"- {r['kind']}/{r['name']}, seed {r['seed']}: {'; '.join(r['violations'])}" for r in wrong]
    return "\n".join(lines) + ("\n" if wrong else "")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.validity", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)} (default: all)")
    parser.add_argument("--seeds", type=int, default=1, help="orders of the batches, for items that train")
    parser.add_argument("--out", type=Path, default=RESULTS, help="rows, one JSON a line")
    options = parser.parse_args()
    if set(options.kinds) - set(KINDS) or options.seeds < 1:
        parser.error(f"the kinds are {', '.join(KINDS)}; seeds are 1 or more")
    known, rows = read_rows(options.out), []
    needed = list(tasks(options.kinds or KINDS, options.seeds))
    untrained: set[str] = set()
    with options.out.open("a", encoding="utf-8") as file:
        for task in tqdm(needed, unit="grading"):
            if f"{task.kind}/{task.item.name}" in untrained:
                continue  # the seed decides nothing where training never starts
            row = known.get(task.key) or run(task)
            if task.key not in known:
                file.write(json.dumps(row) + "\n")
                file.flush()
            if not row["trained"]:
                untrained.add(f"{task.kind}/{task.item.name}")
            rows.append(row)
    text = table(rows)
    print(text)
    if not options.kinds:
        TABLE.write_text(text, encoding="utf-8")
    return int(any(row["violations"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
