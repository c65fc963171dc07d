"""Results for ``classroom-resources/autograding-grading-reporter`` v1, which reads one ``<RUNNER>_RESULTS`` a
runner.

Its log counts tests passed / tests times ``max_score`` and ignores a test's score; its notice sums the tests'
scores and skips a runner whose ``max_score`` is 0. So that both give the core score, the checks are spread
over runners by weight: inside a runner every test is worth the same. A grader error is one runner with status
``error`` and nothing to earn: the step fails, and no notice says 0. The bonus has no place there; it is in
the summary.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from grader.exports import require_whole, texts
from grader.exports.escaping import cut, log_safe, one_line
from grader.outcome import Outcome, Report, Status


def results(report: Report) -> dict[str, dict[str, Any]]:
    """Runner id -> its results, in the order of the ids.

    Raises:
        ExportError: the isolation is ``none``, or only some checks of the core part ran.
    """
    require_whole(report)
    if report.score is None:
        message = log_safe(one_line(texts.score_line(report)))
        return {"grader": _runner("error", 0, [_entry("grader", "error", 0, message)])}
    by_weight: dict[int, list[Outcome]] = {}
    for outcome in texts.core_checks(report):
        by_weight.setdefault(outcome.max_points, []).append(outcome)
    runners = {}
    for weight, outcomes in sorted(by_weight.items()):
        passed = all(outcome.status is Status.PASSED for outcome in outcomes)
        tests = [_test(outcome, report.language) for outcome in outcomes]
        runners[f"points{weight}"] = _runner("pass" if passed else "fail", weight * len(outcomes), tests)
    return runners


def runners(report: Report) -> str:
    """The reporter's input ``runners``: the ids, separated by commas."""
    return ",".join(results(report))


def environment(report: Report) -> dict[str, str]:
    """The variables that the reporter's step needs, e.g. for ``$GITHUB_ENV``: plain ASCII without line breaks."""
    return {
        f"{runner.upper()}_RESULTS": base64.b64encode(json.dumps(result).encode()).decode("ascii")
        for runner, result in results(report).items()
    }


def _runner(status: str, max_score: int, tests: list[dict[str, Any]]) -> dict[str, Any]:
    return {"version": 1, "status": status, "max_score": max_score, "tests": tests}


def _test(outcome: Outcome, language: str) -> dict[str, Any]:
    """A skipped check has earned nothing, so it is a fail here: status and score must agree."""
    status = "pass" if outcome.status is Status.PASSED else "fail"
    lines = [one_line(f"{label}: {text}", 600) for label, text in texts.four_lines(outcome, language)]
    message = "" if status == "pass" else cut(log_safe("\n".join(lines)), 3000)
    entry = _entry(texts.full_title(outcome, language), status, outcome.points, message)
    if outcome.location is not None:
        entry |= {
            "filename": log_safe(one_line(outcome.location.file, 200)),
            "line_no": outcome.location.line,
        }
    return entry


def _entry(name: str, status: str, score: int, message: str) -> dict[str, Any]:
    # line_no 0 means "no line"; the reporter prints any other number.
    return {
        "name": log_safe(one_line(name, 200)),
        "status": status,
        "score": score,
        "message": message,
        "test_code": "",
        "filename": "",
        "line_no": 0,
        "duration": 0,
    }
