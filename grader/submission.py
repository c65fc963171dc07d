"""Intake of a submission: the one named ``.py`` file of each part, read as bytes and nothing else.

Only regular files with the contract's names are read, through a descriptor that neither follows a link nor waits on a
pipe, up to a size limit. Nothing is imported or compiled here: that happens in the step server. The leaderboard entry
beside them, ``challenge.toml``, is data.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from grader.contract import PARTS, Part

MAX_SOURCE = 256 * 1024  # bytes; a whole part is about 6 KiB
CHALLENGE = "challenge.toml"
MAX_CHALLENGE = 16 * 1024  # bytes; a dozen lines


class SubmissionError(Exception):
    """There is no submission there at all: the folder is missing or not a folder."""


@dataclass(frozen=True)
class Source:
    """One part's file as it was found.

    Attributes:
        path: where it lies.
        content: its bytes; empty where it could not be used.
        problem: finding key (``missing_file``, ``empty_file``, ``too_large``, ``not_regular``, ``not_utf8``) or None.
        values: what the finding's text needs.
    """

    path: Path
    content: bytes = b""
    problem: str | None = None
    values: dict[str, str | int] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return self.content.decode("utf-8-sig", errors="replace")

    def line_of(self, function: str) -> int | None:
        """The line where a top-level function is defined, for feedback; found as text, so nothing runs."""
        pattern = re.compile(
            rf"^(?:async\s+)?(?:def|class)\s+{re.escape(function)}\b|^{re.escape(function)}\s*="
        )
        for number, line in enumerate(self.text.splitlines(), start=1):
            if pattern.match(line):
                return number
        return None

    @property
    def stubs(self) -> dict[str, int]:
        """The functions whose body begins with the TODO's raise, each with the line that does; found as text.

        A raise that was left below code of the student's is no stub: it never runs, or it says itself what is missing.
        """
        # [ \t], not \s: over many blank lines that would take quadratic time
        pattern = re.compile(r"^[ \t]+raise NotImplementedError\(\s*[\"']TODO\((\w+)\)", flags=re.MULTILINE)
        text, found, since = self.text, {}, 0
        for match in pattern.finditer(text):
            if _ends_above_a_body(text[since : match.start()]):
                found[match[1]] = text.count("\n", 0, match.end()) + 1
            since = match.start()
        return found

    def is_untouched(self, part: Part) -> bool:
        """Every function of the part is still a stub, or there is no file at all."""
        return self.problem == "missing_file" or self.stubs.keys() >= {
            function.name for function in part.functions
        }


def _ends_above_a_body(text: str) -> bool:
    """The last line that is not blank and no comment ends a docstring or a function's head."""
    lines = (line.strip() for line in reversed(text.splitlines()))
    last = next((line for line in lines if line and not line.startswith("#")), "")
    return last.endswith(('"""', "'''", ":"))


@dataclass(frozen=True)
class Submission:
    """The files of one student.

    Attributes:
        sources: by part.
        challenge: the leaderboard entry, or None for who does not take part.
        hash: SHA-256 over the file names and contents; equal work has an equal hash.
    """

    directory: Path
    sources: dict[str, Source]
    challenge: Source | None = None

    @property
    def hash(self) -> str:
        digest = hashlib.sha256()
        entered = {} if self.challenge is None else {CHALLENGE: self.challenge}
        for name, source in [*sorted(self.sources.items()), *entered.items()]:
            digest.update(f"{name}\0{source.problem}\0{len(source.content)}\0".encode())
            digest.update(source.content)
        return digest.hexdigest()


def read_submission(directory: Path) -> Submission:
    """Read what the contract names from a folder; files with any other name are not looked at.

    Raises:
        SubmissionError: ``directory`` is not a folder.
    """
    if not directory.is_dir():
        raise SubmissionError(f"{directory}: no such folder; name the folder that holds {PARTS[0].filename}")
    sources = {part.name: _read_source(directory / part.filename) for part in PARTS}
    challenge = _read_source(directory / CHALLENGE, MAX_CHALLENGE)
    return Submission(directory, sources, challenge if _is_entered(challenge) else None)


def _is_entered(challenge: Source) -> bool:
    """Whether the student takes part: not with ``enabled = false``. A file that cannot be read is told about."""
    try:
        return (
            challenge.problem != "missing_file" and tomllib.loads(challenge.text).get("enabled") is not False
        )
    except (ValueError, RecursionError):
        return True


def _read_source(path: Path, largest: int = MAX_SOURCE) -> Source:
    name = path.name
    flags = (
        os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    )
    if not os.path.lexists(path):
        return Source(path, problem="missing_file", values={"file": name})
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return Source(path, problem="not_regular", values={"file": name})
        descriptor = os.open(path, flags)
    except OSError:
        return Source(path, problem="not_regular", values={"file": name})
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return Source(path, problem="not_regular", values={"file": name})
        content = file.read(largest + 1)
    if len(content) > largest:
        return Source(path, problem="too_large", values={"file": name, "limit": largest // 1024})
    if not content.strip():
        return Source(path, problem="empty_file", values={"file": name})
    try:
        if "\0" in content.decode("utf-8-sig"):
            return Source(path, problem="not_utf8", values={"file": name})
    except UnicodeDecodeError:
        return Source(path, problem="not_utf8", values={"file": name})
    return Source(path, content)
