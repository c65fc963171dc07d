"""Submitty: the ``validation_results.json`` of a custom validator."""

from __future__ import annotations

from typing import Any

from grader.exports import require_whole, texts
from grader.exports.escaping import cut, one_line
from grader.outcome import Report, Status


def validation_results(report: Report) -> dict[str, Any]:
    """The core score as a share from 0 to 1, with a line for each check that did not pass.

    A grader error is Submitty's own ``failure``: the validator did not work, so there is no score.

    Raises:
        ExportError: the isolation is ``none``, or only some checks of the core part ran.
    """
    require_whole(report)
    score = report.score
    if score is None:
        return {"status": "failure", "message": one_line(texts.score_line(report))}
    lines = [texts.score_line(report), texts.bonus_line(report), *texts.notices(report)]
    lines += [
        f"{texts.full_title(outcome, report.language)}: {outcome.got}"
        for outcome in report.checks
        if outcome.status is not Status.PASSED
    ]
    status = "success" if score == report.max_score else "warning" if score else "failure"
    return {
        "status": "success",
        "data": {
            "score": score / report.max_score,
            "message": cut("\n".join(one_line(line) for line in lines if line), 10_000),
            "status": status,
        },
    }
