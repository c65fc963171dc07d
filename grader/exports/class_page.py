"""A class at a glance, as one self-contained page: distribution, checks most failed, a table that sorts, links.

Made from what ``summary.json`` holds and a row for each login. As with ``report.html`` nothing is fetched, and the
content security policy allows exactly our script and style.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from grader import messages
from grader.contract import check
from grader.exports.html import asset, environment, policy
from grader.outcome import ChallengeResult, Outcome, Status

MOST_FAILED = 12
# Of the summary: key -> the field of an item that holds its texts.
_FOR_A_PERSON = {"review": "reasons", "set_aside": "errors", "intake_problems": "problem", "notes": "notes"}
_LISTS = ("identical", "no_submission", "not_on_roster", "ignored", "missing")


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        counts: the score that counts, a person's decision before the grader's; None is a gap and no zero.
        overridden: a person has decided.
        bonus_counts: as ``counts``, of the bonus.
        reason: why a person decided so, and who; "" where nobody did.
        checks: of the report, to name the first that failed.
        has_report: there is a page at ``LOGIN/report.html``.
        challenge: the leaderboard entry, where there is one.
    """

    login: str
    name: str
    status: str
    score: int | None
    bonus: int | None
    counts: int | None
    overridden: bool
    note: str
    checks: Sequence[Outcome] = ()
    has_report: bool = False
    challenge: ChallengeResult | None = None
    bonus_counts: int | None = None
    reason: str = ""

    @property
    def link(self) -> str:
        """Relative address of the report, or "" where there is none."""
        return f"{quote(self.login)}/report.html" if self.has_report else ""

    @property
    def grade(self) -> str:
        """What counts as a text: ``60``, ``60 + 50``; a bonus of none only where it is not the grader's."""
        score = "–" if self.counts is None else str(self.counts)
        says_bonus = self.bonus_counts or self.bonus_counts != self.bonus
        return f"{score} + {self.bonus_counts}" if says_bonus and self.bonus_counts is not None else score


def render_class(summary: Mapping[str, Any], rows: Sequence[Row], language: str) -> str:
    """The page as HTML.

    Args:
        summary: the contents of ``summary.json`` (schema ``backdoor-lab/class/v1``).
    """

    def ui(key: str, **values: str | int | float) -> str:
        return messages.ui(key, language, **values)

    style, script = asset("report.css") + asset("class.css"), asset("class.js")
    histogram = summary["scores"]["histogram"]
    return environment().get_template("class.html.j2").render(
        summary=summary,
        ui=ui,
        title=lambda id_: full_title(id_, language),
        rows=rows,
        failed=lambda row: [full_title(c.id, language) for c in row.checks if c.status is Status.FAILED],
        statuses=[(name, count) for name, count in summary["statuses"].items() if count],
        histogram=histogram,
        highest=max([*histogram.values(), 1]),
        most_failed=summary["checks"][:MOST_FAILED],
        ranking=ranking(rows),
        challenge=lambda key: messages.challenge(key, {}, language),
        people=[(key, [(item["login"], _text(item[field])) for item in summary[key]])
                for key, field in _FOR_A_PERSON.items() if summary[key]],
        lists=[(key, [" = ".join(item) if isinstance(item, list) else item for item in summary[key]])
               for key in _LISTS if summary[key]],
        style=Markup(style),  # files of this package
        script=Markup(script),
        policy=policy(style, [script]),
    )  # fmt: skip


def ranking(rows: Sequence[Row]) -> list[tuple[int, Row, ChallengeResult]]:
    """(place, row, entry) of those who reached the goal: the smallest epsilon first, then the fewest steps.

    Who has the same of both shares a place.
    """
    found = [
        (row, row.challenge) for row in rows if row.challenge is not None and row.challenge.status == "ranked"
    ]

    def rank(entry: ChallengeResult) -> tuple[int, int]:
        return entry.grey_levels or 0, entry.steps or 0

    found.sort(key=lambda pair: (rank(pair[1]), pair[0].login.casefold()))
    better = [sum(rank(other) < rank(entry) for _, other in found) for _, entry in found]
    return [(place + 1, row, entry) for place, (row, entry) in zip(better, found, strict=True)]


def full_title(check_id: str, language: str) -> str:
    """``apply_trigger: clamps to [0, 1]``."""
    known = check(check_id)
    function = messages.function_title(known.part, known.function, language)
    return messages.ui("check_line", language, function=function, title=messages.title(check_id, language))


def _text(value: str | Sequence[str]) -> str:
    """The texts of an item in one."""
    return value if isinstance(value, str) else " ".join(value)
