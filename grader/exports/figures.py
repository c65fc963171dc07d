"""What a student built, part by part: measured figures as tiles, tables and pictures, in the words of ``messages/``.

A part fills ``metrics``, ``tables`` and ``pictures`` of its ``PartRun``; how they are shown is
written in ``[built.PART]`` of the messages, and what has no text there is not shown (but for a picture, whose name must
do). Every text may name the part's metrics; a table's cell names the entries of its row instead.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from grader import messages
from grader.contract import PARTS
from grader.exports import ExportError
from grader.outcome import Report

MAX_PICTURE = 4 * 1024 * 1024  # bytes
_PNG = b"\x89PNG\r\n\x1a\n"
_NONE = "–"


@dataclass(frozen=True)
class Tile:
    """One measured number."""

    name: str
    value: str
    note: str


@dataclass(frozen=True)
class Table:
    """Numbers in rows; every cell is text already."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Picture:
    """A PNG as a data address, with its size in pixels."""

    source: Markup
    width: int
    height: int
    caption: str
    alt: str

    @property
    def wide(self) -> bool:
        return self.width > 2.3 * self.height


@dataclass(frozen=True)
class Built:
    """What there is to show of one part."""

    name: str
    title: str
    intro: str
    tiles: tuple[Tile, ...]
    tables: tuple[Table, ...]
    pictures: tuple[Picture, ...]


def built(report: Report, pictures: Path | None, language: str) -> tuple[Built, ...]:
    """The parts of which something was measured or drawn, in the contract's order.

    Args:
        pictures: the folder with the PNG files that ``report.pictures`` names; None shows none.

    Raises:
        ExportError: a picture is missing, no PNG, or of no part.
    """
    found = []
    names = [part.name for part in PARTS]
    if lost := [key for key in report.pictures if key.partition(".")[0] not in names]:
        raise ExportError(f"the report names the picture {lost[0]!r}, of no part; made by another version?")
    for name in names:
        texts, metrics = messages.built(name, language), report.metrics.get(name, {})
        tiles = _tiles(texts.get("metrics", {}), metrics)
        tables = _tables(texts.get("tables", {}), report.tables.get(name, {}))
        drawn = () if pictures is None else _pictures(report, name, pictures, language)
        if tiles or tables or drawn:
            intro = _filled(texts.get("intro", ""), metrics)
            found.append(Built(name, messages.ui(f"part.{name}", language), intro, tiles, tables, drawn))
    return tuple(found)


def caption(report: Report, picture: str, language: str, *, alt: bool = False) -> str:
    """The caption of a picture ``PART.NAME`` (or its text for those who do not see it)."""
    part, _, name = picture.partition(".")
    entry = messages.built(part, language).get("pictures", {}).get(name, {})
    text = entry.get("alt" if alt else "caption", entry.get("caption", ""))
    return _filled(text, report.metrics.get(part, {})) or name.replace("_", " ")


def _tiles(texts: Mapping[str, Mapping[str, str]], metrics: Mapping[str, float]) -> tuple[Tile, ...]:
    tiles = []
    for name, entry in texts.items():
        if name in metrics:
            values = {**metrics, "levels": 255 * metrics[name]}
            tiles.append(
                Tile(entry["name"], _filled(entry["value"], values), _filled(entry.get("note", ""), values))
            )
    return tuple(tiles)


def _tables(
    texts: Mapping[str, Mapping[str, Any]], tables: Mapping[str, Sequence[Mapping[str, float]]]
) -> tuple[Table, ...]:
    found = []
    for name, entry in texts.items():
        if rows := tables.get(name):
            columns = entry["columns"].values()
            cells = tuple(tuple(_filled(column["value"], row) or _NONE for column in columns) for row in rows)
            found.append(Table(entry["caption"], tuple(column["name"] for column in columns), cells))
    return tuple(found)


def _filled(text: str, values: Mapping[str, float]) -> str:
    """The text with its numbers; empty where one of them was not measured."""
    return messages.fill(text, values) if messages.placeholders(text) <= values.keys() else ""


def _pictures(report: Report, part: str, folder: Path, language: str) -> tuple[Picture, ...]:
    found = []
    for key, name in report.pictures.items():
        if key.partition(".")[0] != part:
            continue
        content = _read_picture(folder, name)
        width, height = struct.unpack(">II", content[16:24])
        encoded = base64.b64encode(content).decode("ascii")
        source = Markup(f"data:image/png;base64,{encoded}")  # base64 only
        texts = (caption(report, key, language, alt=alt) for alt in (False, True))
        found.append(Picture(source, width, height, *texts))
    return tuple(found)


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
