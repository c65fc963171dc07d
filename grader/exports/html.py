"""The report as one self-contained page: score, feedback, pictures, and a playground with the student's own model.

Nothing is fetched: styles, scripts and pictures are inlined, and a content security policy allows exactly our
scripts (by their hash), so that even a text that slipped through the escaping could not run. jinja2's autoescape
escapes everything.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jinja2
from markupsafe import Markup

from grader import messages
from grader.exports import figures, require_isolated, texts, without
from grader.exports.escaping import cut, visible
from grader.exports.playground import Playground
from grader.outcome import Outcome, Reason, Report, Status

TEMPLATES = Path(__file__).with_name("templates")
SIGNS = {"passed": "✓", "failed": "✗", "skipped": "–", "error": "!"}
_LONGEST = 4000
# Lines shown before and after the one at fault.
_BEFORE, _AFTER = 2, 8


@dataclass(frozen=True)
class _Fault:
    """Checks that failed for one and the same reason."""

    status: str
    titles: tuple[str, ...]
    points: int
    max_points: int
    rows: tuple[tuple[str, str], ...]
    where: str
    snippet: tuple[tuple[int, str, bool], ...]


def render_page(
    report: Report,
    pictures: Path | None = None,
    playground: Playground | None = None,
    language: str | None = None,
    *,
    sources: Mapping[str, str] | None = None,
) -> str:
    """The whole page as HTML.

    Args:
        pictures: the folder with the PNG files that ``report.pictures`` names; None shows none.
        playground: the backdoored model to play with; leave it out under a hidden spec, whose target it would tell.
        language: of the surroundings; the report's own unless given.
        sources: file name -> its text, to show the lines at fault.

    Raises:
        ExportError: the isolation is ``none``, or a picture is missing or no PNG.
    """
    require_isolated(report)
    language = language or report.language
    scripts = [asset("report.js"), *([asset("playground.js")] if playground else [])]
    style = asset("report.css")
    score = None if without(report) else report.score
    statuses = Counter(outcome.status for outcome in report.checks if outcome.reason != Reason.NOT_ATTEMPTED)
    return environment().get_template("report.html.j2").render(
        report=report,
        ui=lambda key, **values: messages.ui(key, language, **values),
        title=lambda outcome: texts.title(outcome, language),
        rows=lambda outcome: _rows(outcome, language),
        parts=texts.parts(report, language),
        share=None if score is None else score / report.max_score,
        score=score,
        score_line=texts.score_line(report, language),
        bonus_line=texts.bonus_line(report, language),
        challenge_line=texts.challenge_line(report, language),
        notices=texts.notices(report, language),
        counts=[(status.value, statuses[status]) for status in Status],
        signs=SIGNS,
        faults=[_fault(group, language, sources or {}) for group in texts.faults(report)],
        faults_title=texts.faults_title(report, language),
        built=figures.built(report, pictures, language),
        playground=None if playground is None else {
            "target": playground.target,
            "data": Markup(playground.to_json(language)),  # JSON with < > & escaped
        },
        made=texts.provenance(report, language),
        style=Markup(style),  # a file of this package
        scripts=[Markup(script) for script in scripts],  # files of this package
        policy=policy(style, scripts),
    )  # fmt: skip


@cache
def environment() -> jinja2.Environment:
    """The templates, with everything escaped, and the filter ``shown`` for what a student wrote."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["shown"] = lambda text, limit=_LONGEST: cut(visible(text[: 8 * limit]), limit)
    return environment


@cache
def asset(name: str) -> str:
    """A style or script of ours."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


def policy(style: str, scripts: list[str]) -> str:
    """Nothing but inlined pictures and exactly these styles and scripts."""

    def digest(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    allowed = " ".join(digest(script) for script in scripts)
    return f"default-src 'none'; img-src data:; style-src {digest(style)}; script-src {allowed}"


def _rows(outcome: Outcome, language: str) -> tuple[tuple[str, str], ...]:
    return texts.shared_lines((outcome,), language)


def _fault(group: tuple[Outcome, ...], language: str, sources: Mapping[str, str]) -> _Fault:
    first = group[0]
    snippet: tuple[tuple[int, str, bool], ...] = ()
    where = ""
    if first.location is not None:
        where = texts.location(first.location, language)
        lines = sources.get(first.location.file, "").splitlines()
        line = first.location.line
        if 1 <= line <= len(lines):
            numbers = range(max(1, line - _BEFORE), min(len(lines), line + _AFTER) + 1)
            snippet = tuple((number, lines[number - 1], number == line) for number in numbers)
    return _Fault(
        status=first.status.value,
        titles=tuple(texts.full_title(outcome, language) for outcome in group),
        points=sum(outcome.points for outcome in group),
        max_points=sum(outcome.max_points for outcome in group),
        rows=texts.shared_lines(group, language)[1:] if snippet else texts.shared_lines(group, language),
        where=where,
        snippet=snippet,
    )
