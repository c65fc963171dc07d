"""What the exports share: how a report's checks are grouped and put into words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from grader import messages
from grader.contract import PARTS, check
from grader.exports import without
from grader.outcome import Location, Outcome, Reason, Report, Status


@dataclass(frozen=True)
class FunctionGroup:
    """The checks of one function (or of the whole attack), in the contract's order."""

    name: str
    title: str
    checks: tuple[Outcome, ...]

    @property
    def points(self) -> int:
        return sum(outcome.points for outcome in self.checks)

    @property
    def max_points(self) -> int:
        return sum(outcome.max_points for outcome in self.checks)


@dataclass(frozen=True)
class PartGroup:
    """The checks of one part, by function."""

    name: str
    title: str
    core: bool
    functions: tuple[FunctionGroup, ...]

    @property
    def checks(self) -> tuple[Outcome, ...]:
        return tuple(outcome for group in self.functions for outcome in group.checks)

    @property
    def attempted(self) -> bool:
        """False for a bonus part whose file is as it was handed out: nobody needs its list of checks."""
        return not all(outcome.reason is Reason.NOT_ATTEMPTED for outcome in self.checks)

    @property
    def points(self) -> int:
        return sum(group.points for group in self.functions)

    @property
    def max_points(self) -> int:
        return sum(group.max_points for group in self.functions)


def parts(report: Report, language: str | None = None) -> tuple[PartGroup, ...]:
    """The checks of a report by part and function; parts that were not selected are left out."""
    language = language or report.language
    groups = []
    for part in PARTS:
        outcomes = [outcome for outcome in report.checks if outcome.part == part.name]
        if not outcomes:
            continue
        names = dict.fromkeys(check(outcome.id).function for outcome in outcomes)
        functions = tuple(
            FunctionGroup(
                name,
                messages.function_title(part.name, name, language),
                tuple(outcome for outcome in outcomes if check(outcome.id).function == name),
            )
            for name in names
        )
        title = messages.ui(f"part.{part.name}", language)
        groups.append(PartGroup(part.name, title, part.core, functions))
    return tuple(groups)


def core_checks(report: Report) -> tuple[Outcome, ...]:
    """The checks whose points make the score."""
    return tuple(outcome for group in parts(report) if group.core for outcome in group.checks)


def title(outcome: Outcome, language: str) -> str:
    """The check's few words, e.g. ``clamps to [0, 1]``."""
    return messages.title(outcome.id, language)


def full_title(outcome: Outcome, language: str) -> str:
    """With the function in front, e.g. ``apply_trigger: clamps to [0, 1]``."""
    function = messages.function_title(outcome.part, check(outcome.id).function, language)
    return messages.ui("check_line", language, function=function, title=title(outcome, language))


def four_lines(outcome: Outcome, language: str) -> tuple[tuple[str, str], ...]:
    """The one form of feedback as (label, text): what ran, expected, what came, likely cause; no empty ones."""
    rows = (
        ("ran", outcome.ran),
        ("expected", outcome.expected),
        ("got", outcome.got),
        ("hint", outcome.hint),
    )
    return tuple((messages.ui(key, language), text) for key, text in rows if text)


def shared_lines(group: tuple[Outcome, ...], language: str) -> tuple[tuple[str, str], ...]:
    """Where, and the one form of feedback, for checks with one cause.

    Several checks with one cause ran and expected different things: only what they share is said.
    """
    first = group[0]
    rows = four_lines(first if len(group) == 1 else replace(first, ran="", expected=""), language)
    if first.location is None:
        return rows
    return ((messages.ui("where", language), location(first.location, language)), *rows)


def location(place: Location, language: str) -> str:
    """``invisible_trigger.py, line 23``."""
    return messages.ui("line", language, file=place.file, line=place.line)


def score_line(report: Report, language: str | None = None) -> str:
    """``Score: 81 of 100``, or that there is none: the grader itself failed, or ran only some checks."""
    language = language or report.language
    if report.score is None:
        return messages.ui("not_graded_line", language)
    if without(report):
        points, max_points = (
            sum(getattr(c, name) for c in report.checks) for name in ("points", "max_points")
        )
        return messages.ui("some_line", language, points=points, max_points=max_points)
    return messages.ui("score_line", language, score=report.score, max_score=report.max_score)


def bonus_line(report: Report, language: str | None = None) -> str | None:
    """``Bonus: 12 of 50``; None where there is no bonus to earn, or no score."""
    if report.bonus is None or report.max_bonus == 0:
        return None
    language = language or report.language
    return messages.ui("bonus_line", language, bonus=report.bonus, max_bonus=report.max_bonus)


def challenge_line(report: Report, language: str | None = None) -> str | None:
    """What came of the leaderboard entry; None without one."""
    if report.challenge is None:
        return None
    return messages.challenge("line", {"text": report.challenge.text}, language or report.language)


def notices(report: Report, language: str | None = None) -> tuple[str, ...]:
    """What a reader must know beside the points: the isolation where it is not the sandbox, why a person looks."""
    language = language or report.language
    lines = []
    if report.isolation != "bubblewrap":
        lines.append(messages.ui(f"isolation.{report.isolation}", language))
    if report.review:
        lines.append(messages.ui("review_notice", language) + " " + " ".join(report.review))
    return tuple(lines)


def provenance(report: Report, language: str | None = None) -> str:
    """With what it was graded."""
    return messages.ui(
        "graded_with" if report.seed is not None else "graded_with_hidden",
        language or report.language,
        grader_version=report.grader_version,
        spec=report.spec,
        seed=report.seed,
        submission_hash=report.submission_hash[:12],
    )


def faults_title(report: Report, language: str | None = None) -> str:
    """The heading over the faults: what to repair, unless only the grader itself failed."""
    only_errors = all(outcome.status is not Status.FAILED for outcome in report.checks)
    return messages.ui("not_graded" if only_errors else "details", language or report.language)


def faults(report: Report) -> Iterator[tuple[Outcome, ...]]:
    """Failed checks and grader errors; those with one and the same cause (a syntax error, say) together."""
    groups: dict[tuple[object, ...], list[Outcome]] = {}
    for outcome in report.checks:
        if outcome.status in (Status.FAILED, Status.ERROR):
            cause = (
                outcome.part,
                outcome.status,
                outcome.finding,
                outcome.got,
                outcome.hint,
                outcome.location,
            )
            groups.setdefault(cause, []).append(outcome)
    yield from (tuple(group) for group in groups.values())
