"""The grades of a class as rows and as CSV for a gradebook or a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from grader.contract import PARTS
from grader.exports import require_isolated, without
from grader.exports.escaping import csv_text
from grader.outcome import Report

_ABOUT = ("submission", "status", "score", "max_score", "bonus", "max_bonus")
_CHALLENGE = ("challenge", "challenge_grey_levels", "challenge_steps")
_PROVENANCE = ("review", "isolation", "spec", "seed", "grader_version", "commit", "submission_hash")
_CHECKS = tuple(check.id for part in PARTS for check in part.checks)
COLUMNS = (*_ABOUT, *_CHALLENGE, *_PROVENANCE, *_CHECKS)

Cell = str | int | None


def row(report: Report) -> dict[str, Cell]:
    """One submission: its grade, where it comes from, and the points of every check.

    After a grader error score, bonus and points are None: not graded, which is no zero. Checks that were not
    selected are None as well, and so is the score where some of the core part were not.

    Raises:
        ExportError: the isolation is ``none``.
    """
    require_isolated(report)
    graded = report.score is not None
    cells: dict[str, Cell] = dict.fromkeys(COLUMNS)
    cells.update(
        submission=report.submission,
        status=report.status,
        score=None if without(report) else report.score,
        max_score=report.max_score,
        bonus=report.bonus,
        max_bonus=report.max_bonus,
        review=" ".join(report.review),
        isolation=report.isolation,
        spec=report.spec,
        seed=report.seed,
        grader_version=report.grader_version,
        commit=report.commit,
        submission_hash=report.submission_hash,
    )
    if report.challenge is not None:
        cells.update(
            challenge=report.challenge.status,
            challenge_grey_levels=report.challenge.grey_levels,
            challenge_steps=report.challenge.steps,
        )
    if graded:
        cells.update({outcome.id: outcome.points for outcome in report.checks})
    return cells


def to_csv(reports: Iterable[Report]) -> str:
    """All submissions as CSV (RFC 4180), one row each; no cell of it is taken for a formula by a spreadsheet.

    Raises:
        ExportError: the isolation of one is ``none``.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for report in reports:
        cells = row(report)
        writer.writerow([csv_text(cell) if isinstance(cell, str) else cell for cell in cells.values()])
    return out.getvalue()
