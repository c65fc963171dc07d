"""The durable memory of a batch: one JSON record a key, each written whole or not at all.

A key names everything that decides a grade: the submission's files, the grader's code, the spec, the seed, the language
and the isolation. So a record that is there is never made again, and what remains to do is the keys expected minus the
records present, whatever was killed in between. Two students who handed in the same bytes share a record.

A record is *terminal* when nothing more will be done by itself: ``graded``, ``set_aside`` (the grader failed on it too
often: a person must look, and it is no zero), or ``intake_problem``. ``failing`` remembers the failed attempts so far.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

from grader.outcome import Report, write_whole

SCHEMA = "backdoor-lab/record/v1"
GRADED, SET_ASIDE, INTAKE_PROBLEM, FAILING = "graded", "set_aside", "intake_problem", "failing"
TERMINAL = (GRADED, SET_ASIDE, INTAKE_PROBLEM)
# These only start grading, show its results, or are the lab of `python -m grader lab`; they change no grade.
_NOT_GRADING = (
    "batch/",
    "experiments/",
    "exports/",
    "specs/",
    "__main__.py",
    "settings.py",
    "conftest.py",
    "doctor.py",
)


class LedgerBusy(Exception):
    """Another batch is at work in this folder."""


@dataclass(frozen=True)
class Record:
    """What is known of one key.

    Attributes:
        errors: what went wrong in each attempt that failed for the grader's reasons.
        report: the report as JSON, where there is one.
        problem: why the submission could not be taken, for ``intake_problem``.
        pictures: file names of the pictures that lie beside the record.
        seconds: wall time of the attempt that made the report.
    """

    key: str
    status: str
    errors: tuple[str, ...] = ()
    report: dict[str, Any] | None = None
    problem: str | None = None
    pictures: tuple[str, ...] = ()
    seconds: float = 0.0
    schema: str = field(default=SCHEMA)

    @property
    def is_terminal(self) -> bool:
        return self.status in TERMINAL


def key_of(*parts: str) -> str:
    """SHA-256 over the parts, each with its length, so that no two lists of parts run together."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(f"{len(data)}:".encode() + data)
    return digest.hexdigest()


@cache
def grader_hash() -> str:
    """SHA-256 over the grader's own files that decide a grade or its words, the first 16 hex digits."""
    root = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for path in sorted(p for suffix in ("py", "toml", "safetensors") for p in root.rglob(f"*.{suffix}")):
        name = path.relative_to(root).as_posix()
        if not name.startswith((*_NOT_GRADING, "test_")):
            digest.update(f"{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


class Ledger:
    """The records below one folder, held by one batch at a time.

    Raises:
        LedgerBusy: another batch holds it.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "records").mkdir(parents=True, exist_ok=True)
        self._lock = _lock(directory / "lock")
        self._sweep()

    @property
    def scratch(self) -> Path:
        """A folder for what need not last; emptied whenever the ledger is opened."""
        return self.directory / "scratch"

    def _sweep(self) -> None:
        """Remove what a killed batch left half-made."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir()
        for path in (self.directory / "records").glob(".*"):
            path.unlink()

    def close(self) -> None:
        """Let another batch have it."""
        os.close(self._lock)

    def read(self, key: str) -> Record | None:
        """The record of a key; one that is damaged or lacks a picture is put aside and counts as absent."""
        path = self._path(key)
        try:
            data = json.loads(path.read_bytes())
            values = {f.name: data[f.name] for f in fields(Record)}
            record = Record(**{**values, **{k: tuple(values[k]) for k in ("errors", "pictures")}})
            if record.schema != SCHEMA or record.key != key or record.status not in (*TERMINAL, FAILING):
                raise ValueError("another record")
            if record.report is not None:
                Report.from_json(record.report)
            if not all(_is_filled(self.pictures(key) / name) for name in record.pictures):
                raise ValueError("a picture is lost")
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            os.replace(path, path.with_suffix(".damaged"))
            return None
        return record

    def write(self, record: Record, pictures: Mapping[str, str] | None = None) -> None:
        """Keep a record, with its pictures (file name -> base64); the record comes last, and all of it or nothing."""
        if pictures:
            shutil.rmtree(self.pictures(record.key), ignore_errors=True)
            for name, content in pictures.items():
                path = self.pictures(record.key) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as file:
                    file.write(base64.b64decode(content))
                    file.flush()
                    os.fsync(file.fileno())
        write_whole(self._path(record.key), json.dumps(asdict(record), ensure_ascii=False) + "\n")

    def forget(self, key: str) -> None:
        """Remove a record, so that its submission is graded again."""
        self._path(key).unlink(missing_ok=True)

    def pictures(self, key: str) -> Path:
        """The folder with the pictures of a record."""
        return self.directory / "pictures" / key

    def _path(self, key: str) -> Path:
        return self.directory / "records" / f"{key}.json"


def _is_filled(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _lock(path: Path) -> int:
    """An exclusive lock that ends with this process, however it ends (nothing is locked on Windows)."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise LedgerBusy from None
    return descriptor
