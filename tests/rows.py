"""Rows of long runs, one JSON a line: written as they come, so that a run which was stopped goes on."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from tests.corpus import Item

Row = dict[str, Any]


def content_hash(item: Item) -> str:
    """Of the files of a submission, 12 hex digits."""
    files = (name.encode() + b"\0" + content for name, content in sorted(item.files()))
    return hashlib.sha256(b"\0".join(files)).hexdigest()[:12]


class Rows:
    """The rows of one file, by key. A key names everything that decides its row, the grader's hash among it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: dict[str, Row] = {}
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            try:
                row = json.loads(line)
                self._rows[row["key"]] = row
            except (ValueError, KeyError):  # half a line, from a run that was killed
                continue

    def get(self, key: str) -> Row | None:
        return self._rows.get(key)

    def add(self, row: Row) -> Row:
        """Keep a row; it is in the file when this returns."""
        self._rows[row["key"]] = row
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
        return row

    def keep_only(self, keys: set[str]) -> None:
        """Drop all other rows from the file: those of another grader, or of items that have changed since."""
        kept = [json.dumps(self._rows[key], ensure_ascii=False) for key in sorted(keys & self._rows.keys())]
        temporary = self._path.with_suffix(".part")
        temporary.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
        temporary.replace(self._path)
