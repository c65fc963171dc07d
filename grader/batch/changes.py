"""What changed between two results folders, and why: for a regrade with a newer grader or another spec."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.batch.results import Line
from grader.exports.escaping import csv_text
from grader.outcome import Outcome, Report
from grader.settings import UsageProblem

COLUMNS = (
    "login",
    "old_score",
    "new_score",
    "old_bonus",
    "new_bonus",
    "differs_in",
    "check",
    "old",
    "new",
    "why",
)


@dataclass(frozen=True)
class CheckChange:
    """A check that came out otherwise: its old and new status, and what came; "" where it passes now."""

    id: str
    old: str
    new: str
    why: str


@dataclass(frozen=True)
class Change:
    """One login whose grade is not what it was.

    Attributes:
        differs_in: what is not the same in the two gradings: ``submission``, ``spec``, ``seed``, ``grader``, ...
        checks: the checks that came out otherwise.
    """

    login: str
    old_score: int | None
    new_score: int | None
    old_bonus: int | None
    new_bonus: int | None
    differs_in: tuple[str, ...]
    checks: tuple[CheckChange, ...]


def read_reports(directory: Path) -> dict[str, Report]:
    """Login -> report, of an earlier batch's results folder.

    Raises:
        UsageProblem: there is no report in it, or a damaged one.
    """
    found = {}
    for path in sorted(directory.glob("*/report.json")):
        try:
            found[path.parent.name] = Report.from_json(json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise UsageProblem(f"{path}: cannot be compared with: {error}") from error
    if not found:
        raise UsageProblem(f"{directory}: no results of an earlier batch (DIR/LOGIN/report.json)")
    return found


def grader_of(directory: Path) -> str | None:
    """The hash of the grader that made a results folder, where it can be told."""
    try:
        return str(json.loads((directory / "summary.json").read_bytes())["grader"]["hash"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def compare(old: dict[str, Report], lines: Iterable[Line], *, same_grader: bool) -> list[Change]:
    """The logins whose score or bonus changed, or that have a report on one side only, by login.

    A login is the same however its letters are written, and is told as it is written now.
    """
    then = {login.casefold(): (login, report) for login, report in old.items()}
    now = {line.login.casefold(): (line.login, line.report) for line in lines if line.report is not None}
    changes = []
    for key in sorted(then.keys() | now.keys()):
        login = (now.get(key) or then[key])[0]
        before, after = (side[key][1] if key in side else None for side in (then, now))
        grades = [(r.score, r.bonus) if r is not None else (None, None) for r in (before, after)]
        if grades[0] != grades[1] or (before is None) != (after is None):
            changes.append(
                Change(
                    login,
                    grades[0][0],
                    grades[1][0],
                    grades[0][1],
                    grades[1][1],
                    _differs_in(before, after, same_grader=same_grader),
                    tuple(_check_changes(before, after)),
                )
            )
    return changes


def _differs_in(before: Report | None, after: Report | None, *, same_grader: bool) -> tuple[str, ...]:
    if before is None or after is None:
        return ("report only now" if before is None else "report only then",)
    pairs = {
        "submission": (before.submission_hash, after.submission_hash),
        "spec": (before.spec_hash, after.spec_hash),
        "seed": (before.seed, after.seed),
        "isolation": (before.isolation, after.isolation),
        "grader": (before.grader_version, after.grader_version if same_grader else ""),
    }
    return tuple(name for name, (a, b) in pairs.items() if a != b)


def _check_changes(before: Report | None, after: Report | None) -> Iterable[CheckChange]:
    old: dict[str, Outcome] = {c.id: c for c in before.checks} if before else {}
    new: dict[str, Outcome] = {c.id: c for c in after.checks} if after else {}
    if before is None or after is None:
        return
    for id_ in dict.fromkeys((*old, *new)):
        statuses = [checks[id_].status.value if id_ in checks else "absent" for checks in (old, new)]
        if statuses[0] != statuses[1]:
            # what had come before is no reason to pass: under a hidden spec it reads as the opposite
            told = new.get(id_) if statuses[1] != "passed" else None
            yield CheckChange(id_, statuses[0], statuses[1], told.got if told else "")


def to_csv(changes: Sequence[Change]) -> str:
    """One row for every check that came out otherwise, and one for a change without any."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for change in changes:
        grades = (change.old_score, change.new_score, change.old_bonus, change.new_bonus)
        for check in change.checks or (CheckChange("", "", "", ""),):
            cells = (
                change.login,
                *grades,
                " ".join(change.differs_in),
                check.id,
                check.old,
                check.new,
                check.why,
            )
            writer.writerow([csv_text(cell) if isinstance(cell, str) else cell for cell in cells])
    return out.getvalue()
