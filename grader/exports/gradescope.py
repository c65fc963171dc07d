"""Gradescope: the contents of ``/autograder/results/results.json``.

The top-level ``score`` overrides the sum of the tests, so the bonus tests can be shown without changing it.
No test is hidden, since a hidden test hides the total. A grader error has no form here: write no file, and
Gradescope says that the autograder failed and gives no score.
"""

from __future__ import annotations

from typing import Any

from grader import messages
from grader.exports import require_score, texts
from grader.exports.escaping import cut, one_line, visible
from grader.outcome import ChallengeResult, Outcome, Report, Status


def results(report: Report) -> dict[str, Any]:
    """The contents of ``results.json``.

    Raises:
        ExportError: the isolation is ``none``.
        NotGraded: the grader itself failed.
    """
    score = require_score(report)
    lines = [
        texts.score_line(report),
        texts.bonus_line(report),
        texts.challenge_line(report),
        *texts.notices(report),
    ]
    document: dict[str, Any] = {
        "score": score,
        "execution_time": round(report.seconds),
        "output": cut("\n".join(visible(line) for line in lines if line), 5000),
        "output_format": "text",
        "test_output_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": [
            _test(outcome, f"{i}.{j}", core=part.core, language=report.language)
            for i, part in enumerate(texts.parts(report), start=1)
            for j, outcome in enumerate(part.checks, start=1)
        ],
        "extra_data": {
            "grader_version": report.grader_version,
            "spec": report.spec,
            "spec_hash": report.spec_hash,
            "submission_hash": report.submission_hash,
            "bonus": report.bonus,
        },
    }
    if report.challenge is not None and report.challenge.status == "ranked":
        document["leaderboard"] = _leaderboard(report.challenge)
    return document


def _leaderboard(entry: ChallengeResult) -> list[dict[str, Any]]:
    """The columns of the class's leaderboard, which is sorted by the first: the smallest epsilon leads.

    One board serves the whole class, so its columns have one language.
    """
    columns: list[tuple[str, float | None, bool]] = [
        ("levels", entry.grey_levels, True),
        ("steps", entry.steps, True),
        ("asr", None if entry.asr is None else round(100 * entry.asr, 2), False),
        ("acc_drop", None if entry.acc_drop is None else round(100 * entry.acc_drop, 2), True),
    ]
    return [
        {"name": messages.challenge(key, {}, "en"), "value": value, **({"order": "asc"} if ascending else {})}
        for key, value, ascending in columns
        if value is not None
    ]


def _test(outcome: Outcome, number: str, *, core: bool, language: str) -> dict[str, Any]:
    name = texts.full_title(outcome, language)
    if not core:
        name = messages.ui("part_line", language, title=name, kind=messages.ui("bonus_part", language))
    lines = [] if outcome.status is Status.PASSED else list(texts.four_lines(outcome, language))
    if lines and outcome.location is not None:
        lines.insert(0, (messages.ui("where", language), texts.location(outcome.location, language)))
    return {
        "number": number,
        "name": one_line(name, 200),
        "score": outcome.points,
        "max_score": outcome.max_points,
        "status": "passed" if outcome.status is Status.PASSED else "failed",
        "output": cut("\n".join(f"{label}: {visible(text)}" for label, text in lines), 5000),
        "output_format": "text",
        "visibility": "visible",
    }
