"""Removes each check in turn and says whether the corpus notices (``make ablation``).

    python -m tests.ablation [CHECK ...] [--out FILE]

A check is taken out of the contract: it neither runs nor counts, and what required it requires what it required itself,
so its dependents run. Then the faulty submissions that it catches are graded without it:

- **alone**: a mutant or a hostile item now has full marks in everything that is left, and nobody is asked to look at
  it. Only this check stood between the fault and the grade.
- **names**: none has, since other checks fail as well; but no check that is left names the cause that a mutant's label
  gives, so the student would be told something else.
- **gain**: if the check passed whatever came, a hostile item would earn more than its label allows. So it is with the
  outcome's checks, which rest on one training and fail together.

A check without points decides no grade and is listed as such; its code is that of a check with points, on other data.
A check of which none is true is unnoticed: it could be deleted and no test would fail. Then the exit status is 1.
Mutants are graded in this process and hostile items in the sandbox, under the public spec. Rows are written as they
come; those of another grader or of a changed item are made again.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import torch
from tqdm import tqdm

from grader.batch.ledger import grader_hash
from grader.contract import PARTS, Check, part
from grader.grading import Grading
from grader.isolation import available_isolation
from grader.outcome import Outcome, Reason, Status, write_whole
from grader.spec import Spec, load_spec
from tests.corpus import Item, Mutant, hostile, materialise, mutants
from tests.rows import Row, Rows, content_hash

RESULTS = Path(__file__).with_name("results.jsonl")
TABLE = Path(__file__).with_name("TABLE.md")


class Ablated(Grading):
    """A grading without one check."""

    def __init__(self, directory: Path, removed: Check, isolation: str) -> None:
        super().__init__(directory, patient_spec(), isolation=isolation)
        self.removed = removed

    def _run(self, check_: Check) -> Outcome:
        return super()._run(dataclasses.replace(check_, requires=requirements(check_, self.removed)))


def patient_spec() -> Spec:
    """The public spec with limits that a busy machine does not reach: speed is not the question here."""
    public = load_spec()
    return dataclasses.replace(
        public, limits=dataclasses.replace(public.limits, run_seconds=7200, step_seconds=60)
    )


def requirements(check_: Check, removed: Check) -> tuple[str, ...]:
    """What a check requires when another is gone: the other's own requirements in its place."""
    found: list[str] = []
    for required in check_.requires:
        found += removed.requires if required == removed.id else (required,)
    return tuple(dict.fromkeys(found))


def is_fine(outcome: Outcome) -> bool:
    """It passed, or could not be asked on this machine."""
    return outcome.status is Status.PASSED or outcome.reason is Reason.RESOURCE_ABSENT


def candidates(check_: Check) -> list[Item]:
    """The items that lose this check, and as far as their labels say nothing that does not hang on it."""
    found: list[Item] = [m for m in mutants() if m.caught_by == check_.id]
    others = {c.id for c in part(check_.part).checks} - {check_.id, *_dependents(check_)}
    return found + [h for h in hostile() if check_.id in h.loses and not others & h.loses]


def _dependents(check_: Check) -> set[str]:
    """Ids of the checks that require this one, directly or not."""
    fallen = {check_.id}
    for other in part(check_.part).checks:
        if fallen.intersection(other.requires):
            fallen.add(other.id)
    return fallen - {check_.id}


def run(check_: Check, item: Item, key: str) -> Row:
    """Grade an item without a check; the part's experiment only where no unit check catches it."""
    isolation = "none" if isinstance(item, Mutant) else "auto"
    caught: list[Outcome] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        Ablated(materialise(item, Path(folder)), check_, isolation) as grading,
    ):
        for other in part(check_.part).checks:
            if other.id != check_.id and not (other.is_outcome and caught):
                outcome = grading.outcome(other.id)
                if outcome.status is Status.ERROR:
                    raise RuntimeError(f"{item.name} without {check_.id}: {outcome.id}: {outcome.got}")
                if not is_fine(outcome):
                    caught.append(outcome)
        flagged = bool(grading.report_finished().review)
    return {
        "key": key,
        "check": check_.id,
        "kind": item.kind,
        "name": item.name,
        "full_marks": not caught and not flagged,
        "caught_by": [outcome.id for outcome in caught],
        "named": isinstance(item, Mutant)
        and item.finding in {None, *(outcome.finding for outcome in caught)},
        "flagged": flagged,
    }


def gains(check_: Check) -> list[str]:
    """Hostile items that get as far as this check and would earn more than they may if it passed whatever came."""
    checks = part(check_.part).checks
    units = {c.id for c in checks if not c.is_outcome}
    return [
        h.name
        for h in hostile()
        if h.part == check_.part and check_.id in h.loses and not units & h.loses
        if sum(c.points for c in checks if c.id not in h.loses or c is check_) > h.gains_at_most
    ]


def examine(check_: Check, rows: Rows, used: set[str]) -> list[Row]:
    """Grade candidates without the check, until one has full marks."""
    found: list[Row] = []
    for item in candidates(check_):
        key = f"{grader_hash()}:{check_.id}:{item.kind}/{item.name}:{content_hash(item)}"
        used.add(key)
        found.append(rows.get(key) or rows.add(run(check_, item, key)))
        if found[-1]["full_marks"]:
            break
    return found


def verdict(check_: Check, found: Sequence[Row]) -> tuple[str, str]:
    """(alone, names, gain, unnoticed or no points; by which items)."""
    if check_.points == 0:
        return "no points", "decides no grade"
    alone = [f"{row['kind']}/{row['name']}" for row in found if row["full_marks"]]
    names = [f"mutants/{row['name']}" for row in found if row["kind"] == "mutants" and not row["named"]]
    gain = [f"hostile/{name}" for name in gains(check_)] if check_.is_outcome else []
    for what, by in (("alone", alone), ("names", names), ("gain", gain)):
        if by:
            return what, ", ".join(by[:3])
    elsewhere = sorted({other for row in found for other in row["caught_by"]})
    return "unnoticed", f"caught elsewhere: {', '.join(elsewhere)}" if elsewhere else "no item loses it"


def table(verdicts: Sequence[tuple[Check, str, str, int]]) -> str:
    """The verdicts, as Markdown."""
    kinds = ("alone", "names", "gain", "no points", "unnoticed")
    counts = {name: sum(v[1] == name for v in verdicts) for name in kinds}
    lines = [
        f"Grader `{grader_hash()}`, {len(verdicts)} checks removed in turn: {counts['alone']} stand alone between a "
        f"fault and full marks, {counts['names']} alone name the cause, {counts['gain']} keep a hostile item from "
        f"gaining, {counts['no points']} have no points, {counts['unnoticed']} are unnoticed.",
        "",
        "| check | without it | by | graded |",
        "| --- | --- | --- | --- |",
        *(f"| {check_.id} | {what} | {by} | {count} |" for check_, what, by, count in verdicts),
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.ablation", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("checks", nargs="*", metavar="CHECK", help="ids or patterns (default: all)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="rows, one JSON a line")
    options = parser.parse_args()
    if available_isolation()[0] != "bubblewrap":
        parser.error(f"hostile items run in the sandbox only: {available_isolation()[1]}")
    torch.set_num_threads(1)
    chosen = [
        check_ for p in PARTS for check_ in p.checks
        if not options.checks or any(fnmatchcase(check_.id, pattern) for pattern in options.checks)
    ]  # fmt: skip
    if not chosen:
        parser.error("no check is called so")
    rows, used, verdicts = Rows(options.out), set[str](), []
    for check_ in tqdm(chosen, unit="check"):
        found = examine(check_, rows, used)
        verdicts.append((check_, *verdict(check_, found), len(found)))
    text = table(verdicts)
    print(text)
    if not options.checks:
        rows.keep_only(used)
        if options.out == RESULTS:
            write_whole(TABLE, text)
    return int(any(what == "unnoticed" for _, what, _, _ in verdicts))


if __name__ == "__main__":
    sys.exit(main())
