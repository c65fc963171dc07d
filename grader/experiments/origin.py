"""Whose functions made what lies in an --out, so that another submission's results are never shown as one's own."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from grader.contract import part
from grader.experiments.common import ExperimentProblem
from grader.outcome import write_whole

FILE = "submission.json"
_TABLES = ("frontier.csv", "matrix.csv", "alarms.csv")
# what a table calls a run of a submission's functions -> the part that they are of
PARTS = {
    "joint": "invisible_trigger",
    "invisible": "invisible_trigger",
    "fine_pruning": "fine_pruning",
    "activation_clustering": "activation_clustering",
}


def claim(out: Path, submission: Path | None, runs: Iterable[str]) -> None:
    """Note whose functions the runs to come are of; one that is there must be of the same.

    Results of an older version, which noted nothing, are taken for this submission's.

    Args:
        runs: methods, attacks and defences by name; those that run no submission's functions are left out.

    Raises:
        ExperimentProblem: results in ``out`` are of another file.
        UsageProblem: there is no such submission.
    """
    asked = sorted({PARTS[run] for run in runs if run in PARTS})
    if not asked:
        return
    now, path = _hashes(submission, asked), out / FILE
    try:
        noted = dict(json.loads(path.read_bytes())) if path.exists() else {}
    except (ValueError, TypeError) as error:
        raise ExperimentProblem(f"{path} is damaged ({error}); name another --out") from error
    differing = [name for name in _there(out) & now.keys() if noted.get(name, now[name]) != now[name]]
    if differing:
        files = ", ".join(part(name).filename for name in sorted(differing))
        raise ExperimentProblem(f"{out} has results of another {files}; name another --out")
    write_whole(path, json.dumps({**noted, **now}, indent=2) + "\n")


def _hashes(submission: Path | None, parts: Iterable[str]) -> dict[str, str]:
    """SHA-256 of each part's file."""
    from grader.settings import ASSIGNMENT, UsageProblem
    from grader.submission import SubmissionError, read_submission

    try:
        sources = read_submission(submission or ASSIGNMENT).sources
    except SubmissionError as error:
        raise UsageProblem(str(error)) from error
    return {name: hashlib.sha256(sources[name].content).hexdigest() for name in parts}


def _there(out: Path) -> set[str]:
    """The parts of which there are results: rows, or the model of a run that was stopped before its row."""
    runs = {"invisible"} if any(out.glob("invisible-seed*/backdoor.json")) else set()
    for name in _TABLES:
        if (out / name).exists():
            with (out / name).open(newline="", encoding="utf-8") as file:
                for row in csv.DictReader(file):
                    runs |= {row.get(column) or "" for column in ("method", "attack", "defence")}
    return {PARTS[run] for run in runs if run in PARTS}
