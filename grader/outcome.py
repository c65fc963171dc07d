"""What grading produces: an Outcome a check, a Report a submission; exports read nothing else.

Four outcomes that are never mixed: ``passed``, ``failed``, ``skipped`` (with a reason) and ``error`` (the *grader* went
wrong: never a zero for the student). The JSON form is ``backdoor-lab/report/v1``.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

SCHEMA = "backdoor-lab/report/v1"


class Status(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    ERROR = "error"


class Reason(StrEnum):
    """Why a check was skipped."""

    DEPENDENCY_FAILED = "dependency_failed"
    NOT_ATTEMPTED = "not_attempted"
    RESOURCE_ABSENT = "resource_absent"


@dataclass(frozen=True)
class Location:
    """A line of the student's code."""

    file: str
    line: int


@dataclass(frozen=True)
class Outcome:
    """The result of one check, in the words that the student reads.

    Attributes:
        id: the check's id in the contract.
        part: the part it belongs to.
        status: one of the four outcomes.
        reason: why it was skipped, else None.
        points: earned; only a passed check earns, and it earns all.
        max_points: what the check is worth.
        ran, expected, got, hint: the one form of feedback: what ran, what was expected, what came, the likely cause.
        location: the line of the student's code that it concerns, where one is known.
        finding: the machine-readable name of what was found wrong (a key of ``messages/``), None where nothing was.
    """

    id: str
    part: str
    status: Status
    points: int
    max_points: int
    reason: Reason | None = None
    ran: str = ""
    expected: str = ""
    got: str = ""
    hint: str = ""
    location: Location | None = None
    finding: str | None = None

    def __post_init__(self) -> None:
        earned = self.max_points if self.status is Status.PASSED else 0
        if self.points != earned:
            raise ValueError(f"{self.id}: status {self.status} earns {earned} points, not {self.points}")
        if (self.status is Status.SKIPPED) != (self.reason is not None):
            raise ValueError(f"{self.id}: a reason belongs to skipped checks and only to them")


@dataclass(frozen=True)
class ChallengeResult:
    """What came of a leaderboard entry: no points, and no influence on the score.

    Attributes:
        status: ``ranked``, ``missed`` (trained, but the goal was not reached), ``unusable`` (the file, or the functions
            that it needs) or ``error`` (the grader's own).
        text: the same in the words that the student reads.
        grey_levels: the entry's epsilon times 255; steps: of its training; None where the file could not be read.
        asr: of triggered images rounded to 8 bits; acc_drop: below the clean start; shares in [0, 1], None where
            nothing was measured.
    """

    status: str
    text: str
    grey_levels: int | None = None
    steps: int | None = None
    asr: float | None = None
    acc_drop: float | None = None


@dataclass(frozen=True)
class Report:
    """Everything that is known of one graded submission.

    Attributes:
        checks: one Outcome for each check of the contract that was selected, in the contract's order.
        review: why a person should look at this submission (empty for almost all), in words.
        seed: None under a hidden spec, whose own it is.
        metrics: part -> name -> number, as measured; what a check compares is among them.
        seconds: wall time; 0 under a hidden spec.
        isolation: ``bubblewrap``, ``process`` (limited subprocess, no security claim) or ``none`` (``--in-process``).
        tables: part -> name -> rows of numbers by column, what a single number cannot say.
        pictures: ``PART.NAME`` of what they show -> file names of the PNGs written beside the report.
        challenge: the leaderboard entry; None without one.
    """

    grader_version: str
    spec: str
    spec_hash: str
    seed: int | None
    submission: str
    submission_hash: str
    isolation: str
    checks: tuple[Outcome, ...]
    max_score: int
    max_bonus: int
    language: str = "en"
    commit: str | None = None
    review: tuple[str, ...] = ()
    seconds: float = 0.0
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)
    tables: dict[str, dict[str, list[dict[str, float]]]] = field(default_factory=dict)
    pictures: dict[str, str] = field(default_factory=dict)
    challenge: ChallengeResult | None = None

    @property
    def status(self) -> str:
        return "grader_error" if any(c.status is Status.ERROR for c in self.checks) else "graded"

    @property
    def score(self) -> int | None:
        """Points of the core parts; None after a grader error, which is never a zero."""
        return self._sum(core=True)

    @property
    def bonus(self) -> int | None:
        return self._sum(core=False)

    def _sum(self, *, core: bool) -> int | None:
        from grader.contract import part

        if self.status == "grader_error":
            return None
        return sum(c.points for c in self.checks if part(c.part).core == core)

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON types, schema ``backdoor-lab/report/v1``."""
        data = asdict(self)
        return {
            "schema": SCHEMA,
            "status": self.status,
            "score": self.score,
            "bonus": self.bonus,
            **data,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Report:
        """Read a report back.

        Raises:
            ValueError: another schema, or a field that is missing or unknown.
        """
        if data.get("schema") != SCHEMA:
            raise ValueError(f"not a {SCHEMA} report: its schema is {data.get('schema')!r}")
        rest = {k: v for k, v in data.items() if k not in ("schema", "status", "score", "bonus")}
        try:
            checks = tuple(_outcome_from_json(item) for item in rest.pop("checks"))
            entry = rest.pop("challenge", None)
            challenge = None if entry is None else ChallengeResult(**entry)
            report = cls(checks=checks, challenge=challenge, **{**rest, "review": tuple(rest["review"])})
            totals = {"status": report.status, "score": report.score, "bonus": report.bonus}
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"damaged report: {error}") from error
        for key, value in totals.items():
            if data.get(key) != value:
                raise ValueError(f"damaged report: {key} is {data.get(key)!r} but its checks give {value!r}")
        return report

    def write(self, path: Path) -> None:
        """Write the JSON whole or not at all (temporary file, fsync, rename)."""
        write_whole(path, json.dumps(self.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _outcome_from_json(item: dict[str, Any]) -> Outcome:
    location = item["location"]
    return Outcome(
        **{
            **item,
            "status": Status(item["status"]),
            "reason": None if item["reason"] is None else Reason(item["reason"]),
            "location": None if location is None else Location(**location),
        }
    )


def write_whole(path: Path, text: str) -> None:
    """Write a text file so that a reader sees all of it or nothing, also when the machine stops in between."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
