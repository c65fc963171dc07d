"""What the instructor wrote: the roster, the commits recorded at the deadline, and overrides with their reasons.

These files are trusted, so a mistake in one (an unknown column, a login twice, a missing reason) stops the batch before
anything is graded. Logins are compared without regard to case, as GitHub does.
"""

from __future__ import annotations

import csv
import tomllib
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.batch.checkouts import is_commit
from grader.contract import max_bonus, max_score
from grader.settings import UsageProblem


@dataclass(frozen=True)
class Student:
    """One line of the roster."""

    login: str
    student_id: str = ""
    name: str = ""


@dataclass(frozen=True)
class Override:
    """A person's decision on one submission, kept apart from what the grader found.

    Attributes:
        score, bonus: what counts instead of the grader's; None leaves the grader's.
        reason: why; shown wherever the override is.
        by: who decided.
    """

    login: str
    reason: str
    score: int | None = None
    bonus: int | None = None
    by: str = ""


def read_roster(path: Path) -> dict[str, Student]:
    """Case-folded login -> student, from CSV with the columns login, student_id and name (the latter two optional).

    Raises:
        UsageProblem: the file cannot be used; the message says why.
    """
    rows = _rows(path, required=("login",), optional=("student_id", "name"))
    return {
        login: Student(row["login"], row.get("student_id", ""), row.get("name", "")) for login, row in rows
    }


def read_commits(path: Path) -> dict[str, str]:
    """Case-folded login -> full commit hash, from CSV with the columns login and commit.

    An empty commit is a student without a push before the deadline.

    Raises:
        UsageProblem: the file cannot be used; the message says why.
    """
    commits = {login: row["commit"].lower() for login, row in _rows(path, required=("login", "commit"))}
    for login, commit in commits.items():
        if commit and not is_commit(commit):
            raise UsageProblem(
                f"{path}: {login}: a commit is written in full (40 or 64 hex digits), not {commit!r}"
            )
    return {login: commit for login, commit in commits.items() if commit}


def read_overrides(path: Path) -> dict[str, Override]:
    """Case-folded login -> override, from TOML: a table a login, with ``reason`` and ``score`` or ``bonus`` or both.

    Raises:
        UsageProblem: the file cannot be used; the message says why.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageProblem(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise UsageProblem(f"{path}: not a TOML file: {error}") from error
    found: dict[str, Override] = {}
    for written, table in data.items():
        login = unicodedata.normalize("NFC", written)
        if login.casefold() in found:
            raise UsageProblem(f"{path}: {login} is there twice")
        found[login.casefold()] = _override(path, login, table)
    return found


def _override(path: Path, login: str, table: Any) -> Override:
    kinds = {"score": int, "bonus": int, "reason": str, "by": str}
    if not isinstance(table, dict):
        raise UsageProblem(f"{path}: {login} must be a table: [{login}]")
    for key, value in table.items():
        if key not in kinds:
            raise UsageProblem(f"{path}: {login}.{key} is unknown; there are {', '.join(kinds)}")
        if type(value) is not kinds[key]:
            raise UsageProblem(f"{path}: {login}.{key} must be {kinds[key].__name__}, not {value!r}")
    if not table.get("reason", "").strip():
        raise UsageProblem(f"{path}: {login} has no reason; an override without one is not taken")
    if "score" not in table and "bonus" not in table:
        raise UsageProblem(f"{path}: {login} overrides nothing: give it a score, a bonus, or both")
    for key, most in (("score", max_score()), ("bonus", max_bonus())):
        if not 0 <= table.get(key, 0) <= most:
            raise UsageProblem(f"{path}: {login}.{key} must be from 0 to {most}, not {table[key]}")
    return Override(login=login, **table)


def _rows(
    path: Path, *, required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> Iterator[tuple[str, dict[str, str]]]:
    """Case-folded login and cells of each line; other columns are left alone, an empty line is skipped."""
    lines = _cells(path)
    columns = [name.strip().lower() for name in lines[0][1]] if lines else []
    for name in (*required, *optional):
        if columns.count(name) > 1:
            raise UsageProblem(f"{path}: there are {columns.count(name)} columns {name!r}")
    for name in required:
        if name not in columns:
            raise UsageProblem(
                f"{path}: the column {name!r} is missing; the first line names the columns "
                f"({', '.join((*required, *optional))})"
            )
    seen: set[str] = set()
    for number, line in lines[1:]:
        if not any(line):
            continue
        if len(line) != len(columns):
            raise UsageProblem(
                f"{path}: line {number} has {len(line)} cells and the first line {len(columns)}; a cell with a comma "
                "in it is written in quotes"
            )
        row = dict(zip(columns, line, strict=True))
        cells = {name: row.get(name, "") for name in (*required, *optional)}
        login = cells["login"].casefold()
        if not login:
            raise UsageProblem(f"{path}: line {number} has no login")
        if login in seen:
            raise UsageProblem(f"{path}: {cells['login']} is there twice")
        seen.add(login)
        yield login, cells


def _cells(path: Path) -> list[tuple[int, list[str]]]:
    """Each line's number and cells, without the space around them and in the form (NFC) that names of folders get."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            return [
                (reader.line_num, [unicodedata.normalize("NFC", c.strip()) for c in row]) for row in reader
            ]
    except OSError as error:
        raise UsageProblem(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UsageProblem(f'{path}: not UTF-8; save it as "CSV UTF-8"') from error
    except csv.Error as error:
        raise UsageProblem(f"{path}: line {reader.line_num} is no CSV: {error}") from error
