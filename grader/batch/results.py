"""What a class's results folder holds: a folder for each login, and ``grades.csv``.

All of it is made from the ledger and can be made again; nothing here decides anything. What a person decided (an
override) stays in its own columns, beside the grader's score and never in a report.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from grader.batch.intake import Entry, is_login
from grader.batch.ledger import GRADED, INTAKE_PROBLEM, SET_ASIDE, Ledger, Record
from grader.batch.lists import Override, Student
from grader.batch.run import Task
from grader.exports import html, table
from grader.exports.class_page import Row
from grader.exports.escaping import csv_text, one_line
from grader.outcome import Report, write_whole

NO_SUBMISSION, UNFINISHED = "no_submission", "unfinished"
_PERSON = ("login", "student_id", "name", "status")
_COUNTS = ("final_score", "final_bonus", "override_score", "override_bonus", "override_reason", "override_by")
_GRADER = tuple(name for name in table.COLUMNS if name not in ("submission", "status"))
COLUMNS = (*_PERSON, *_COUNTS, "note", *_GRADER)
_OWN_FILES = ("report.json", "report.html")
_UNDER_WAY = ".pictures.json"
"""Names of the pictures, there while a folder is filled: a batch may be killed before the report names them."""


@dataclass(frozen=True)
class Line:
    """One line of the class: a submission, or a student of the roster without one.

    Attributes:
        status: ``graded``, ``set_aside``, ``intake_problem``, ``no_submission`` or ``unfinished``.
        report: as the student gets it: with the login and, for a git checkout, the commit.
        on_roster: False where there is a roster and this login is not on it.
    """

    login: str
    status: str
    student: Student | None = None
    entry: Entry | None = None
    record: Record | None = None
    report: Report | None = None
    override: Override | None = None
    on_roster: bool = True

    @property
    def _graded(self) -> Report | None:
        """The report, where its numbers count."""
        return self.report if self.status == GRADED else None

    @property
    def final_score(self) -> int | None:
        """What counts: a person's decision before the grader's; None is no zero but a gap that a person must fill."""
        own = self._graded.score if self._graded is not None else None
        return own if self.override is None or self.override.score is None else self.override.score

    @property
    def final_bonus(self) -> int | None:
        own = self._graded.bonus if self._graded is not None else None
        return own if self.override is None or self.override.bonus is None else self.override.bonus

    @property
    def note(self) -> str:
        """What a person must know of this line, in one line."""
        notes = list(self.entry.notes) if self.entry else []
        if self.record is not None and self.status == INTAKE_PROBLEM:
            notes.insert(0, self.record.problem or "")
        if self.record is not None and self.status == SET_ASIDE:
            notes.insert(0, "the grader failed: " + one_line(self.record.errors[-1], 200))
        if not self.on_roster:
            notes.append("not on the roster")
        return "; ".join(notes)


def class_lines(
    expected: Iterable[Task],
    ledger: Ledger,
    *,
    roster: Mapping[str, Student] | None,
    overrides: Mapping[str, Override],
) -> list[Line]:
    """Every submission and every student of the roster, by login."""
    lines = []
    for task in expected:
        record = ledger.read(task.key)
        for entry in task.entries:
            login = entry.login.casefold()
            report = None
            if record is not None and record.report is not None:
                report = Report.from_json(record.report)
                report = replace(report, submission=entry.login, commit=entry.commit)
            lines.append(
                Line(
                    entry.login,
                    record.status if record is not None and record.is_terminal else UNFINISHED,
                    (roster or {}).get(login),
                    entry,
                    record,
                    report,
                    overrides.get(login),
                    on_roster=roster is None or login in roster,
                )
            )
    present = {line.login.casefold() for line in lines}
    for login, student in (roster or {}).items():
        if login not in present:
            lines.append(Line(student.login, NO_SUBMISSION, student, override=overrides.get(login)))
    return sorted(lines, key=lambda line: (line.login.casefold(), line.login))


def has_results(line: Line) -> bool:
    """Whether a folder is filled for it: there is a report, if only of a grading that was set aside."""
    return line.status in (GRADED, SET_ASIDE) and line.report is not None


def withdraw(folder: Path) -> None:
    """Remove what ``publish`` put into a login's folder; a link in its place is somebody else's."""
    if folder.is_dir() and not folder.is_symlink():
        _clear(folder)


def publish(line: Line, ledger: Ledger, directory: Path) -> None:
    """Bring a login's folder in step with the ledger: its report and pictures, or nothing where there is none."""
    folder = directory / line.login
    record, report = line.record, line.report
    if not has_results(line) or record is None or report is None or line.entry is None:
        if is_login(line.login):
            _clear(folder)  # no report may stay behind from files that have been replaced since
        return
    path = folder / "report.json"
    try:
        if Report.from_json(_read_json(path)) == report and (folder / "report.html").is_file():
            return
    except (OSError, ValueError):
        pass  # not there yet, or not whole: it is written now
    _clear(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / _UNDER_WAY, json.dumps(record.pictures))
    for name in record.pictures:
        shutil.copyfile(ledger.pictures(record.key) / name, folder / name)
    sources = {
        name: (content or b"").decode("utf-8-sig", "replace") for name, content in line.entry.files.items()
    }
    page = html.render_page(report, folder if record.pictures else None, sources=sources)
    write_whole(folder / "report.html", page)
    report.write(path)  # last: who finds it finds the others
    (folder / _UNDER_WAY).unlink()


def _clear(folder: Path) -> None:
    """Remove what ``publish`` put into a login's folder, and the folder if that was all; nothing of others'."""
    names = set(_OWN_FILES)
    with contextlib.suppress(OSError, ValueError):  # there is no report, or none that can be read
        names |= set(Report.from_json(_read_json(folder / "report.json")).pictures.values())
    with contextlib.suppress(OSError, ValueError):
        names |= set(json.loads((folder / _UNDER_WAY).read_bytes()))
    for name in (*names, _UNDER_WAY):
        (folder / Path(name).name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()


def page_row(line: Line) -> Row:
    """A line as the class page shows it."""
    report = line.report
    return Row(
        login=line.login,
        name=line.student.name if line.student else "",
        status=line.status,
        score=report.score if report else None,
        bonus=report.bonus if report else None,
        counts=line.final_score,
        overridden=line.override is not None,
        note=line.note,
        checks=report.checks if report else (),
        has_report=report is not None,
        challenge=report.challenge if report else None,
        bonus_counts=line.final_bonus,
        reason=_reason(line.override),
    )


def _reason(override: Override | None) -> str:
    if override is None:
        return ""
    return f"{override.reason} – {override.by}" if override.by else override.reason


def _read_json(path: Path) -> dict[str, object]:
    data = json.loads(path.read_bytes())
    if not isinstance(data, dict):
        raise ValueError(f"{path}: not a report")
    return data


def grades_csv(lines: Sequence[Line]) -> str:
    """The whole class as CSV, one row a line; no cell of it is taken for a formula by a spreadsheet."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for line in lines:
        cells = _row(line)
        writer.writerow([csv_text(cell) if isinstance(cell, str) else cell for cell in cells.values()])
    return out.getvalue()


def _row(line: Line) -> dict[str, table.Cell]:
    cells: dict[str, table.Cell] = dict.fromkeys(COLUMNS)
    if line.report is not None:
        cells.update({k: v for k, v in table.row(line.report).items() if k in _GRADER})
    cells.update(
        login=line.login,
        student_id=line.student.student_id if line.student else None,
        name=line.student.name if line.student else None,
        status=line.status,
        final_score=line.final_score,
        final_bonus=line.final_bonus,
        note=line.note or None,
    )
    if line.override is not None:
        cells.update(
            override_score=line.override.score,
            override_bonus=line.override.bonus,
            override_reason=line.override.reason,
            override_by=line.override.by or None,
        )
    return cells
