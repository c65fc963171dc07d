"""Grades the whole corpus at the full spec and prints how often the grades are right (``make validity``).

    python -m tests.validity [KIND ...] [--seeds 10] [--jobs N] [--out FILE]

A test suite is a classifier: correct submissions must get full marks (specificity), a fault must be caught
(sensitivity) by the check that names it (right criterion), and hostile code must gain nothing. A row is one item under
one seed: the order of the batches, and fresh inputs for every check.

Every item is graded once as a batch grades it, in the sandbox. What is left to chance is graded under the other seeds
as well: styles, and hostile items that lie in the training, in the same way; and the unit checks of mutants, here.
A mutant that keeps the outcome has its fault in what the training does not use: its training is the solution's, and was
compared with its label once. Hostile items that do not train, or whose code is right and whose attack is on something
else, have nothing that a seed could change.

Rows are written as they come, so a run that was stopped goes on; rows of another grader or of a changed item, and those
with a grader error, are made again.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, as_completed
from dataclasses import dataclass
from pathlib import Path

import torch
from scipy.stats import binomtest
from tqdm import tqdm

from grader.batch.engines import LocalEngine
from grader.batch.intake import FILENAMES
from grader.batch.ledger import grader_hash
from grader.batch.machine import usable_jobs
from grader.batch.unit import Result, Settings, prepare_text, unit_text
from grader.contract import check, part
from grader.grading import Grading
from grader.isolation import available_isolation
from grader.outcome import Outcome, Report, Status, write_whole
from grader.settings import PUBLIC_SPEC
from grader.spec import load_spec
from tests.corpus import KINDS, Hostile, Item, Mutant, items, materialise
from tests.corpus_verdict import violations
from tests.rows import Row, Rows, content_hash

RESULTS = Path(__file__).with_name("results.jsonl")
TABLE = Path(__file__).with_name("TABLE.md")
SECONDS = 900.0  # of one grading


@dataclass(frozen=True)
class Task:
    """One item under one seed; ``key`` changes with everything that decides its grade."""

    item: Item
    seed: int

    @property
    def key(self) -> str:
        return f"{grader_hash()}:{self.item.kind}/{self.item.name}:{content_hash(self.item)}:{self.seed}"


def settings(seed: int) -> Settings:
    """The public spec with another seed, as a batch is given it."""
    text = PUBLIC_SPEC.read_text(encoding="utf-8")
    seeded = text.replace(f"\nseed = {load_spec().seed} ", f"\nseed = {seed} ", 1)
    return Settings(seeded, "en", "bubblewrap", grader_hash(), SECONDS, pictures=False)


def trained(checks: Sequence[Outcome]) -> bool:
    """Whether the part's experiment began, if only to the step that gave a lie away."""
    asked = [
        c for c in checks if check(c.id).is_outcome and c.reason is None and c.finding != "not_implemented"
    ]
    return bool(asked) and any(c.status is Status.PASSED for c in checks if not check(c.id).is_outcome)


def row_of(task: Task, outcomes: Sequence[Outcome], review: Sequence[str], *, sandboxed: bool) -> Row:
    """What a grading says of an item, compared with its label."""
    item = task.item
    checks = [c for c in outcomes if c.part == item.part]
    caught = None
    if isinstance(item, Mutant):
        caught = next(c.status is Status.FAILED for c in checks if c.id == item.caught_by)
    return {
        "key": task.key,
        "kind": item.kind,
        "part": item.part,
        "name": item.name,
        "seed": task.seed,
        "sandboxed": sandboxed,
        "points": sum(c.points for c in checks),
        "trained": trained(checks),
        "full_marks": bool(checks) and all(c.points == c.max_points for c in checks),
        "caught_by_its_check": caught,
        "violations": violations(item, checks, review),
        "grader_error": any(c.status is Status.ERROR for c in checks),
    }


def sandboxed(tasks: Sequence[Task], jobs: int) -> Iterator[Row]:
    """Grade them as a batch does, as many at a time as there are jobs."""
    if not tasks:
        return
    with tempfile.TemporaryDirectory() as scratch:
        engine = LocalEngine(jobs, Path(scratch))
        try:
            prepared = engine.prepare(prepare_text(settings(1)))
            if prepared.error is not None:
                raise RuntimeError(prepared.error)
            running: dict[Future[str], Task] = {}
            for task in tasks:
                files = {name: content for name, content in task.item.files() if name in FILENAMES}
                running[engine.submit(unit_text(settings(task.seed), files))] = task
            for future in as_completed(running):
                result = Result.from_text(future.result())
                if result.report is None:
                    raise RuntimeError(f"{running[future].item.name}: no report: {result.error}")
                report = Report.from_json(result.report)
                row = row_of(running[future], report.checks, report.review, sandboxed=True)
                yield {**row, "seconds": result.seconds}
        finally:
            engine.close()


def in_process(tasks: Sequence[Task]) -> Iterator[Row]:
    """The unit checks of harmless items, here."""
    torch.set_num_threads(1)
    for task in tasks:
        with (
            tempfile.TemporaryDirectory() as folder,
            Grading(
                materialise(task.item, Path(folder)), load_spec().with_seed(task.seed), isolation="none"
            ) as grading,
        ):
            checks = [grading.outcome(c.id) for c in part(task.item.part).checks if not c.is_outcome]
        yield row_of(task, checks, (), sandboxed=False)


def is_graded_again(item: Item, first: Row) -> bool:
    """Whether another seed could change the grade of an item, as a whole; of a mutant its unit checks are enough."""
    if isinstance(item, Hostile):
        return bool(first["trained"]) and not item.spares_the_outcome
    return not isinstance(item, Mutant)


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
    seeds, trained = len({r["seed"] for r in rows}), sum(r["trained"] for r in rows)
    inside = sum(r["sandboxed"] for r in rows)
    names = {kind: len({(r["part"], r["name"]) for r in found}) for kind, found in
             (("styles", styles), ("mutants", mutants), ("hostile items", hostile))}  # fmt: skip
    lines = [
        f"Grader `{grader_hash()}`, isolation {available_isolation()[0]}: "
        f"{', '.join(f'{count} {kind}' for kind, count in names.items())} under {seeds} seeds, "
        f"{inside} gradings in the sandbox, of which {trained} trained, and {len(rows) - inside} of mutants' unit "
        "checks alone, outside it.",
        "",
        "| measure | count | 95 % interval |",
        "| --- | --- | --- |",
        rate("specificity: a correct style gets full marks", sum(r["full_marks"] for r in styles), len(styles)),
        rate("sensitivity: a mutant loses points", sum(not r["full_marks"] for r in mutants), len(mutants)),
        rate("right criterion: the check that names the fault fails",
             sum(bool(r["caught_by_its_check"]) for r in mutants), len(mutants)),
        rate("as labelled: nothing else is lost, and the cause is named",
             sum(not r["violations"] for r in mutants), len(mutants)),
        rate("hostile submissions that gain, or are not flagged as they should",
             sum(bool(r["violations"]) for r in hostile), len(hostile)),
        "",
    ]  # fmt: skip
    wrong = [r for r in rows if r["violations"]]
    lines += [f"- {r['kind']}/{r['name']}, seed {r['seed']}: {'; '.join(r['violations'])}" for r in wrong]
    return "\n".join(lines) + ("\n" if wrong else "")


def collect(chosen: Sequence[Item], seeds: int, jobs: int, rows: Rows) -> list[Row]:
    """All rows of these items, made where they are not there yet."""
    found: list[Row] = []

    def make(tasks: Sequence[Task], *, harmless: bool, what: str) -> None:
        found.extend(row for task in tasks if (row := rows.get(task.key)) is not None)
        missing = [task for task in tasks if rows.get(task.key) is None]
        made = in_process(missing) if harmless else sandboxed(missing, jobs)
        for row in tqdm(made, what, total=len(missing), unit="grading"):
            found.append(row if row["grader_error"] else rows.add(row))  # that one is graded again next time

    make([Task(item, 1) for item in chosen], harmless=False, what="once")
    first = {(row["kind"], row["part"], row["name"]): row for row in found}
    others = range(2, seeds + 1)
    faulty = [item for item in chosen if isinstance(item, Mutant)]
    make([Task(i, s) for i in faulty for s in others], harmless=True, what="mutants' unit checks again")
    again = [item for item in chosen if is_graded_again(item, first[item.kind, item.part, item.name])]
    make([Task(i, s) for s in others for i in again], harmless=False, what="again")
    return sorted(found, key=lambda row: str(row["key"]))


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.validity", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)} (default: all)")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=usable_jobs(), help="gradings at a time")
    parser.add_argument("--only", metavar="NAME", nargs="*", help="items of these names")
    parser.add_argument("--out", type=Path, default=RESULTS, help="rows, one JSON a line")
    options = parser.parse_args()
    if set(options.kinds) - set(KINDS) or options.seeds < 1 or options.jobs < 1:
        parser.error(f"the kinds are {', '.join(KINDS)}; seeds and jobs are 1 or more")
    if available_isolation()[0] != "bubblewrap":
        parser.error(f"hostile items run in the sandbox only: {available_isolation()[1]}")
    chosen = [
        i for kind in options.kinds or KINDS for i in items(kind) if i.name in (options.only or [i.name])
    ]
    rows = Rows(options.out)
    found = collect(chosen, options.seeds, options.jobs, rows)
    text = table(found)
    print(text)
    if not options.kinds and not options.only and options.out == RESULTS:
        rows.keep_only({row["key"] for row in found})
        write_whole(TABLE, text)
    return int(any(row["violations"] for row in found))


if __name__ == "__main__":
    sys.exit(main())
