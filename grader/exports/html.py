"""The report as one self-contained page: score, feedback, pictures, and a playground with the student's own model.

Nothing is fetched: styles, scripts and pictures are inlined, and a content security policy allows exactly our
scripts (by their hash), so that even a text that slipped through the escaping could not run. jinja2's autoescape
escapes everything.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jinja2
from markupsafe import Markup

from grader import messages
from grader.exports import ExportError, require_isolated, texts
from grader.exports.escaping import cut, visible
from grader.exports.playground import Playground
from grader.outcome import Outcome, Report, Status

TEMPLATES = Path(__file__).with_name("templates")
SIGNS = {"passed": "✓", "failed": "✗", "skipped": "–", "error": "!"}
MAX_PICTURE = 4 * 1024 * 1024  # bytes
_PNG = b"\x89PNG\r\n\x1a\n"
_LONGEST = 4000
# Lines shown before and after the one at fault.
_BEFORE, _AFTER = 2, 8


@dataclass(frozen=True)
class _Picture:
    source: Markup
    width: int
    height: int
    caption: str
    alt: str

    @property
    def wide(self) -> bool:
        return self.width > 2.3 * self.height


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
    statuses = Counter(outcome.status for outcome in report.checks)
    return environment().get_template("report.html.j2").render(
        report=report,
        ui=lambda key, **values: messages.ui(key, language, **values),
        title=lambda outcome: texts.title(outcome, language),
        rows=lambda outcome: _rows(outcome, language),
        parts=texts.parts(report, language),
        share=None if report.score is None else report.score / report.max_score,
        score_line=texts.score_line(report, language),
        bonus_line=texts.bonus_line(report, language),
        notices=texts.notices(report, language),
        counts=[(status.value, statuses[status]) for status in Status],
        signs=SIGNS,
        faults=[_fault(group, language, sources or {}) for group in texts.faults(report)],
        faults_title=texts.faults_title(report, language),
        metrics=_metrics(report, language),
        pictures=[] if pictures is None else _pictures(report, pictures, language),
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


def _metrics(report: Report, language: str) -> list[tuple[str, str, str]]:
    """What was measured of part 1, as (name, value, note) for the tiles."""
    measured = report.metrics.get("invisible_trigger", {})
    tiles = []
    for key, note in (
        ("acc", ""),
        ("asr", "asr_note"),
        ("untriggered_rate", "untriggered_rate_note"),
        ("linf", "linf_note"),
        ("psnr", "psnr_note"),
        ("ssim", "ssim_note"),
    ):
        if key in measured:
            value = measured[key]
            tiles.append(
                (
                    messages.ui(f"metric.{key}", language),
                    messages.ui(f"metric.{key}.value", language, value=value, levels=255 * value),
                    messages.ui(f"metric.{note}", language, **_counts(measured)) if note else "",
                )
            )
    return tiles


def _counts(measured: Mapping[str, float]) -> dict[str, int]:
    return {"hits": int(measured.get("asr_hits", 0)), "total": int(measured.get("asr_total", 0))}


def _pictures(report: Report, folder: Path, language: str) -> list[_Picture]:
    pictures = []
    for key, name in report.pictures.items():
        content = _read_picture(folder, name)
        width, height = struct.unpack(">II", content[16:24])
        encoded = base64.b64encode(content).decode("ascii")
        source = Markup(f"data:image/png;base64,{encoded}")  # base64 only
        caption = messages.ui_or(f"picture.{key}", language, default=key.replace("_", " "))
        alt = messages.ui_or(f"picture.{key}.alt", language, default=caption)
        pictures.append(_Picture(source, width, height, caption, alt))
    return pictures


def _read_picture(folder: Path, name: str) -> bytes:
    path = folder / name
    if Path(name).name != name or path.is_symlink() or not path.is_file():
        raise ExportError(f"the report names the picture {name!r}, but {folder} has no such file")
    if path.stat().st_size > MAX_PICTURE:
        raise ExportError(f"{path}: larger than {MAX_PICTURE // 2**20} MiB")
    content = path.read_bytes()
    if not content.startswith(_PNG) or len(content) < 24:
        raise ExportError(f"{path}: not a PNG picture")
    return content
