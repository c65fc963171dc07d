"""Pure functions from a Report to what other places read: terminal, JUnit, GitHub Actions, Classroom 50,
Gradescope, ...

No function here runs, reads or writes anything, and nothing here imports torch. Two rules hold for every
export but the terminal: a report that was made inside the grader's own process (``isolation: "none"``) is
refused, and a report with a grader error is never shown as a zero.
"""

from __future__ import annotations

from grader.contract import PARTS
from grader.outcome import Report


class ExportError(Exception):
    """This report must not, or cannot, be given to that reader; the message says why."""


class NotGraded(ExportError):
    """The grader itself failed, and this reader has no way to say so other than to get no result at all."""


def require_isolated(report: Report) -> None:
    """Refuse a report whose submission ran inside the grader's own process.

    Raises:
        ExportError: the isolation is ``none``.
    """
    if report.isolation == "none":
        raise ExportError(
            "this report was made with --in-process: the submission ran inside the grader and could have written the "
            "report itself. Grade again without --in-process to export a result."
        )


def require_score(report: Report) -> int:
    """The core score of an isolated run that ended well.

    Raises:
        ExportError: the isolation is ``none``, or only some checks of the core part ran.
        NotGraded: the grader itself failed, so there is no score (and a zero would be wrong).
    """
    require_whole(report)
    score = report.score
    if score is None:
        failed = ", ".join(check.id for check in report.checks if check.status == "error")
        raise NotGraded(f"the grader itself failed ({failed}): there is no score, and a zero would be wrong")
    return score


def require_whole(report: Report) -> None:
    """Refuse a report whose score is none of the whole core part.

    Raises:
        ExportError: the isolation is ``none``, or only some checks of the core part ran.
    """
    require_isolated(report)
    if lacking := without(report):
        raise ExportError(
            f"this report lacks {len(lacking)} checks of the core part ({lacking[0]}, ...), so its score is of less "
            "than 100. Grade again without --part or -k to export a result."
        )


def without(report: Report) -> list[str]:
    """Ids of the core part's checks that the report does not have, since only some were asked for."""
    there = {check.id for check in report.checks}
    return [check.id for part in PARTS if part.core for check in part.checks if check.id not in there]
