"""Classroom 50 (foundation50/classroom50): the ``result.json`` that its runner and its score collection check.

The document is closed: unknown keys are rejected, scores are whole numbers, and who and what was graded must
be what the runner says it is. A grader error has no form in it: write no file and exit non-zero; the runner
then records an error for the submission (0 of 0, not a zero). The bonus is in the release text alone, since
every test in the document that did not pass makes the whole submission a failure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from grader.exports import ExportError, require_score, texts
from grader.exports.actions import summary
from grader.exports.escaping import one_line
from grader.outcome import Report, Status

SCHEMA = "classroom50/result/v1"
ASSIGNMENT_TYPES = ("individual", "group", "team")


@dataclass(frozen=True)
class Identity:
    """Whose submission of what was graded, as the runner names it.

    Attributes:
        owner: the account that the student's repository belongs to by its name.
        submission: the tag, ``submit/...``.
        commit, release, review: addresses of the graded commit, its release and the differences to review.
        submitted: when the graded commit was made; the same on every regrading of it.
    """

    classroom: str
    assignment: str
    assignment_type: str
    owner: str
    submission: str
    commit: str
    release: str
    review: str
    submitted: datetime

    def __post_init__(self) -> None:
        for name in ("classroom", "assignment", "owner", "commit", "release", "review"):
            if not getattr(self, name):
                raise ExportError(f"Classroom 50: {name} is empty")
        if not self.submission.startswith("submit/"):
            raise ExportError(
                f"Classroom 50: the submission tag must start with submit/, not {self.submission!r}"
            )
        if self.assignment_type not in ASSIGNMENT_TYPES:
            raise ExportError(f"Classroom 50: no assignment type is called {self.assignment_type!r}")
        if self.submitted.tzinfo is None:
            raise ExportError("Classroom 50: the time of the submission needs its time zone")


def identity(environment: Mapping[str, str], *, submitted: datetime) -> Identity:
    """The identity that Classroom 50's runner hands to ``autograder.py`` in the environment.

    Args:
        submitted: the graded commit's committer date (``git log -1 --format=%cI``).

    Raises:
        ExportError: a variable is missing or wrong.
    """

    def read(*names: str, default: str | None = None) -> str:
        for name in names:
            if environment.get(name):
                return environment[name]
        if default is None:
            raise ExportError(f"Classroom 50: the environment variable {' or '.join(names)} is missing")
        return default

    commit = read("COMMIT_URL")
    return Identity(
        classroom=read("CLASSROOM"),
        assignment=read("ASSIGNMENT"),
        assignment_type=read("ASSIGNMENT_TYPE", default="individual"),
        owner=read("OWNER", "USERNAME"),
        submission=read("SUBMISSION_TAG"),
        commit=commit,
        release=read("RELEASE_URL"),
        review=read("REVIEW_URL", default=commit),
        submitted=submitted,
    )


def result(report: Report, who: Identity, *, graded: datetime | None = None) -> dict[str, Any]:
    """The contents of ``result.json``.

    Args:
        graded: when this grading ran, left out if None.

    Raises:
        ExportError: the isolation is ``none``.
        NotGraded: the grader itself failed.
    """
    score = require_score(report)
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "classroom": who.classroom,
        "assignment": who.assignment,
        "assignment_type": who.assignment_type,
        "owner": who.owner,
        "submission": who.submission,
        "commit": who.commit,
        "release": who.release,
        "review": who.review,
        "datetime": _utc(who.submitted),
        "score": score,
        "max-score": report.max_score,
        "tests": [
            {
                "test-name": texts.full_title(outcome, report.language),
                "passed": outcome.status is Status.PASSED,
                "score": outcome.points,
                "max-score": outcome.max_points,
                "message": "" if outcome.status is Status.PASSED else one_line(outcome.got),
            }
            for outcome in texts.core_checks(report)
        ],
    }
    if graded is not None:
        document["graded_at"] = _utc(graded)
    return document


def release_body(report: Report) -> str:
    """The text of the release (``release-body.md``), the bonus included.

    Raises:
        ExportError: the isolation is ``none``.
        NotGraded: the grader itself failed.
    """
    require_score(report)
    # A release text is cut at 125,000 characters.
    return summary(report, advisory=False, limit=100_000)


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
