"""The class at a glance: ``summary.json`` and the same on the terminal."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.text import Text

from grader import __version__
from grader.batch.changes import Change
from grader.batch.intake import Class, identical, printable
from grader.batch.ledger import GRADED, INTAKE_PROBLEM, SET_ASIDE
from grader.batch.results import NO_SUBMISSION, UNFINISHED, Line
from grader.batch.unit import Settings
from grader.contract import PARTS, max_score
from grader.exports.escaping import log_safe, one_line
from grader.outcome import Status

SCHEMA = "backdoor-lab/class/v1"
_BIN = 10
_BAR = 40
_SHOWN = 10
_STATUSES = (GRADED, SET_ASIDE, INTAKE_PROBLEM, UNFINISHED, NO_SUBMISSION)


def summarise(
    lines: Sequence[Line],
    class_: Class,
    settings: Settings,
    *,
    spec: tuple[str, str],
    changes: Sequence[Change] | None,
    missing: Sequence[str],
) -> dict[str, Any]:
    """The contents of ``summary.json``.

    Args:
        spec: its name and hash; nothing else of it is written anywhere.
        changes: against an earlier batch, None where none was named.
        missing: what the reconciliation found missing.
    """
    scores = [line.report.score for line in lines if line.status == GRADED and line.report is not None]
    known = [score for score in scores if score is not None]
    return {
        "schema": SCHEMA,
        "grader": {"version": __version__, "hash": settings.grader},
        "spec": {"name": spec[0], "hash": spec[1]},
        "isolation": settings.isolation,
        "submissions": len(class_.entries),
        "statuses": {status: sum(line.status == status for line in lines) for status in _STATUSES},
        "reconciled": not missing,
        "missing": list(missing),
        "scores": {
            "max": max_score(),
            "mean": round(statistics.fmean(known), 2) if known else None,
            "median": statistics.median(known) if known else None,
            "histogram": _histogram(known),
        },
        "checks": _most_failed(lines),
        "review": [
            {"login": line.login, "reasons": list(line.report.review)}
            for line in lines
            if line.report is not None and line.report.review
        ],
        "set_aside": [
            {"login": line.login, "errors": list(line.record.errors)}
            for line in lines
            if line.status == SET_ASIDE and line.record is not None
        ],
        "intake_problems": [
            {"login": line.login, "source": printable(line.entry.source.name), "problem": line.entry.problem}
            for line in lines
            if line.status == INTAKE_PROBLEM and line.entry is not None
        ],
        "no_submission": [line.login for line in lines if line.status == NO_SUBMISSION],
        "not_on_roster": [line.login for line in lines if not line.on_roster],
        "identical": identical(class_.entries),
        "notes": [{"login": e.login, "notes": list(e.notes)} for e in class_.entries if e.notes],
        "ignored": list(class_.ignored),
        "overrides": [
            {
                **asdict(line.override),
                "login": line.login,
                "grader_score": line.report.score if line.report else None,
                "grader_bonus": line.report.bonus if line.report else None,
            }
            for line in lines
            if line.override is not None
        ],
        "changes": None if changes is None else [asdict(change) for change in changes],
    }


def _histogram(scores: Sequence[int]) -> dict[str, int]:
    """Full marks have a bin of their own."""
    counts = Counter(min(score, max_score()) // _BIN for score in scores)
    top = max_score() // _BIN
    return {
        (str(max_score()) if n == top else f"{n * _BIN}-{n * _BIN + _BIN - 1}"): counts[n]
        for n in range(top + 1)
    }


def _most_failed(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """Every check that failed at all, the most often failed first; one that was skipped did not fail."""
    failed, ran = Counter[str](), Counter[str]()
    for line in lines:
        for check in line.report.checks if line.report is not None and line.status == GRADED else ():
            failed[check.id] += check.status is Status.FAILED
            ran[check.id] += check.status in (Status.FAILED, Status.PASSED)
    order = [check.id for part in PARTS for check in part.checks]
    rows = [{"id": id_, "failed": failed[id_], "ran": ran[id_]} for id_ in order if failed[id_]]
    return sorted(rows, key=lambda row: -int(str(row["failed"])))


def show(summary: dict[str, Any], console: Console) -> None:
    """Print the summary; nothing that a student wrote is parsed as markup or obeyed by the terminal."""
    statuses = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in summary["statuses"].items() if n)
    _print(console, f"{_count(summary['submissions'], 'submission')}: {statuses or 'none'}", "bold")
    scores = summary["scores"]
    if scores["mean"] is not None:
        _print(console, f"Scores: mean {scores['mean']}, median {scores['median']} of {scores['max']}")
        most = max(scores["histogram"].values())
        for name, count in scores["histogram"].items():
            _print(console, f"  {name:>6} {'#' * round(_BAR * count / most):<{_BAR}} {count}")
    if summary["checks"]:
        _print(console, "\nChecks most often failed:", "bold")
        for row in summary["checks"][:_SHOWN]:
            _print(console, f"  {row['failed']:>4} of {row['ran']:<4} {row['id']}")
    for key, title in (
        ("review", "For a person to look at"),
        ("set_aside", "Set aside: the grader failed on these, which is no zero"),
        ("intake_problems", "Not taken"),
        ("notes", "Noticed"),
    ):
        if summary[key]:
            _print(console, f"\n{title}:", "bold yellow")
        for item in summary[key]:
            texts = (
                item.get("reasons") or item.get("errors", [])[-1:] or item.get("notes") or [item["problem"]]
            )
            _print(console, f"  {item['login']}: {one_line(' '.join(texts), 300)}")
    for key, title in (
        ("identical", "Handed in the same code"),
        ("no_submission", "On the roster, without a submission"),
        ("not_on_roster", "Not on the roster"),
        ("ignored", "In the folder, but no submission"),
        ("missing", "NOT RECONCILED; start the same command again"),
    ):
        if summary[key]:
            names = [" = ".join(item) if isinstance(item, list) else item for item in summary[key]]
            _print(console, f"\n{title} ({len(names)}): {one_line(', '.join(names), 2000)}", "yellow")
    if summary["overrides"]:
        _print(console, "\nOverridden by a person:", "bold")
    for item in summary["overrides"]:
        what = ", ".join(_decision(item, key) for key in ("score", "bonus") if item[key] is not None)
        _print(console, f"  {item['login']}: {what}: {one_line(item['reason'])}")
    if summary["changes"] is not None:
        _show_changes(summary["changes"], console)


def _decision(item: dict[str, Any], key: str) -> str:
    """A person's score or bonus beside the grader's."""
    grader = item[f"grader_{key}"]
    return f"{key} {item[key]} (grader: {'no grade' if grader is None else grader})"


def _show_changes(changes: Sequence[dict[str, Any]], console: Console) -> None:
    _print(console, f"\nChanged against the earlier batch: {len(changes)}", "bold")
    for change in changes:
        scores = f"{_grade(change, 'old')} -> {_grade(change, 'new')}"
        differs = ", ".join(change["differs_in"]) or "nothing: not the same from run to run"
        _print(console, f"  {change['login']}: {scores} (differs in: {differs})")
        for check in change["checks"]:
            why = f": {one_line(check['why'], 160)}" if check["why"] else ""
            _print(console, f"    {check['id']}: {check['old']} -> {check['new']}{why}")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _grade(change: dict[str, Any], side: str) -> str:
    score, bonus = change[f"{side}_score"], change[f"{side}_bonus"]
    return "no score" if score is None else f"{score} + {bonus}" if bonus else str(score)


def _print(console: Console, text: str, style: str = "") -> None:
    console.print(Text(log_safe(text), style))
