"""GitHub: the step summary (Markdown for ``$GITHUB_STEP_SUMMARY``), annotations on the lines at fault, and the
status of a commit.

Facts these functions rest on: a step's summary may be 1 MiB at most and is dropped whole beyond that; a step
shows ten error annotations; the runner takes any line of the log for a command that starts, after white
space, with ``::``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from grader import messages
from grader.exports import require_isolated, require_whole, texts
from grader.exports.escaping import command_data, command_property, fenced, log_safe, markdown, one_line
from grader.outcome import Outcome, Report, Status

SUMMARY_LIMIT = 1024 * 1024  # bytes
MAX_ANNOTATIONS = 10
STATUS_CONTEXT = "backdoor-lab/grade"
_LONGEST_STATUS = 140  # characters of a commit status's description
_SIGNS = {Status.PASSED: "✅", Status.FAILED: "❌", Status.SKIPPED: "➖", Status.ERROR: "⚠️"}


def summary(
    report: Report,
    *,
    links: Mapping[str, str] | None = None,
    advisory: bool = True,
    limit: int = SUMMARY_LIMIT,
) -> str:
    """The scoreboard as Markdown.

    Args:
        links: label -> https address, shown at the end (the artifact with the pictures, for example).
        advisory: say that this is a self-check and not the grade that counts.
        limit: bytes that the whole text may have in UTF-8; what does not fit is left out, and that is said.

    Raises:
        ExportError: the isolation is ``none``; or this is the grade that counts, and only some checks of the core
            part ran.
        ValueError: a link that is not https.
    """
    require = require_isolated if advisory else require_whole
    require(report)
    head = [f"## {markdown(texts.score_line(report))}"]
    bonus = texts.bonus_line(report)
    if bonus is not None:
        head.append(f"**{markdown(bonus)}**")
    challenge = texts.challenge_line(report)
    if challenge is not None:
        head.append(markdown(challenge, 2000))
    notices = [*texts.notices(report)]
    if advisory:
        notices.append(messages.ui("advisory", report.language))
    head += [f"> {markdown(notice, 2000)}" for notice in notices]
    blocks = ["\n\n".join(head), *(_table(part, report) for part in texts.parts(report))]
    faults = [_fault(group, report.language) for group in texts.faults(report)]
    if faults:
        blocks += [f"### {markdown(texts.faults_title(report))}", *faults]
    tail = _tail(report, links or {})
    return _fit(blocks, tail, f"_{markdown(messages.ui('cut', report.language))}_", limit)


def _table(part: texts.PartGroup, report: Report) -> str:
    language = report.language
    kind = messages.ui("core" if part.core else "bonus_part", language)
    shown = "" if report.score is None else f", {part.points} / {part.max_points}"
    title = messages.ui("part_line", language, title=part.title, kind=kind)
    if not part.attempted:
        return f"### {markdown(title)}: {markdown(messages.ui('reason.not_attempted', language))}"
    words = [messages.ui(key, language) for key in ("function", "check", "status", "points", "why")]
    lines = [f"### {markdown(title)}{shown}", "", f"| {' | '.join(markdown(word) for word in words)} |"]
    lines.append("| --- | --- | --- | ---: | --- |")
    for function in part.functions:
        for outcome in function.checks:
            status = f"{_SIGNS[outcome.status]} {markdown(messages.ui(f'status.{outcome.status.value}', language))}"
            points = "" if report.score is None else f"{outcome.points} / {outcome.max_points}"
            why = "" if outcome.status is Status.PASSED else markdown(outcome.got, 300)
            cells = (markdown(function.title), markdown(texts.title(outcome, language)), status, points, why)
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _fault(group: tuple[Outcome, ...], language: str) -> str:
    """What to repair: folded, so that twenty of them can still be scrolled through."""
    title = "; ".join(texts.full_title(outcome, language) for outcome in group)
    body = "\n".join(f"{label}: {text}" for label, text in texts.shared_lines(group, language))
    return f"<details><summary>{markdown(title, 600)}</summary>\n\n{fenced(body)}\n\n</details>"


def _tail(report: Report, links: Mapping[str, str]) -> str:
    for address in links.values():
        if not address.startswith("https://") or any(c in address for c in " \n\r\t()<>"):
            raise ValueError(f"not a plain https address: {address!r}")
    lines = [f"[{markdown(label)}]({address})" for label, address in links.items()]
    return "\n\n".join([*lines, markdown(texts.provenance(report))])


def _fit(blocks: list[str], tail: str, mark: str, limit: int) -> str:
    """As many whole blocks as fit, so that no fence or table is ever left open."""

    def size(text: str) -> int:
        return len(text.encode("utf-8"))

    kept: list[str] = []
    used = size(tail) + size(mark) + 8
    for block in blocks:
        if used + size(block) + 2 > limit:
            kept.append(mark)
            break
        kept.append(block)
        used += size(block) + 2
    return "\n\n".join([*kept, tail]) + "\n"


def annotate(report: Report, *, directory: str = "assignment") -> list[str]:
    """Workflow commands that mark the lines at fault, one a cause, at most ten. Print each on a line of its own.

    Args:
        directory: where the submission's files lie in the checkout, as GitHub shows the path.

    Raises:
        ExportError: the isolation is ``none``.
    """
    require_isolated(report)
    commands = []
    for group in texts.faults(report):
        first = group[0]
        title = texts.full_title(first, report.language)
        if len(group) > 1:
            title += f" (+{len(group) - 1})"
        properties = [f"title={command_property(one_line(title, 200))}"]
        if first.location is not None and first.status is Status.FAILED:
            path = str(PurePosixPath(directory) / one_line(first.location.file, 200))
            properties = [f"file={command_property(path)}", f"line={first.location.line}", *properties]
        message = command_data(one_line(f"{first.got} {first.hint}", 900))
        commands.append(f"::error {','.join(properties)}::{message}")
    return commands[:MAX_ANNOTATIONS]


def commit_status(report: Report) -> dict[str, str]:
    """The body of GitHub's "create a commit status": the score, and what to repair first.

    A grader error is the state ``error``, without a score.

    Raises:
        ExportError: the isolation is ``none``, or only some checks of the core part ran.
    """
    require_whole(report)
    parts = [texts.score_line(report), texts.bonus_line(report)]
    state = "success"
    if report.score != report.max_score:
        state = "failure" if report.score is not None else "error"
        parts += [texts.full_title(group[0], report.language) for group in texts.faults(report)]
    description = one_line(" · ".join(part for part in parts if part), _LONGEST_STATUS)
    return {"state": state, "context": STATUS_CONTEXT, "description": description}


def log(text: str) -> str:
    """What the student's code printed, for a log that GitHub's runner reads: no line of it is a command."""
    return "".join(f"| {line}\n" for line in log_safe(text).splitlines())
