"""The spec reader: whatever lies in the file, a spec within its ranges or a ``SpecError``, and nothing else."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from pathlib import Path

from grader.settings import PUBLIC_SPEC
from grader.spec import SpecError, load_spec

_VALUES = (
    *(
        '""',
        '"8/255"',
        '"1/0"',
        '"nan"',
        '"1e400"',
        '"1e999999999"',
        '"' + "9" * 9000 + '/7"',
        '"٣/٤"',
        '"\\u0000"',
    ),
    *(
        "0",
        "-1",
        "1",
        "9",
        "10",
        "1.0",
        "1e308",
        "-0.0",
        "inf",
        "nan",
        "1e999",
        "9" * 400,
        "0x7",
        "1_0",
        "true",
    ),
    *(
        "[]",
        "{}",
        "[1]",
        '["*"]',
        '["["]',
        "{a = 1}",
        "2026-11-25",
        "07:32:00",
        "'''",
        '"',
        "[" * 2000,
        "{a=" * 2000,
    ),
)
_LINES = (
    "[limits]",
    "[limits]",
    "[[limits]]",
    "[a.b]",
    "a.b.c = 1",
    "schema = 1",
    'name = "x"',
    "=",
    "\x00",
    "﻿",
)


def text(rng: random.Random, lines: list[str]) -> bytes:
    """The public spec with other values, lines missing, doubled or moved, and bytes that are not text."""
    lines = list(lines)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(len(lines))
        action = rng.randrange(10)
        if action < 6 and " = " in lines[at]:
            lines[at] = f"{lines[at].split(' = ')[0]} = {rng.choice(_VALUES)}"
        elif action == 6:
            del lines[at]
        elif action == 7:
            lines.insert(at, rng.choice((*_LINES, rng.choice(lines))))
        elif action == 8:
            rng.shuffle(lines)
    data = bytearray("\n".join(lines).encode("utf-8"))
    for _ in range(rng.choice((0, 0, 0, 1, 5))):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


def fuzz(inputs: int, seed: int) -> Counter[str]:
    """Read so many spec files; counts by how they ended.

    Raises:
        Exception: whatever else than ``SpecError`` the reader raised, which is what this looks for.
    """
    rng = random.Random(seed)
    lines = [line.split(" # ")[0] for line in PUBLIC_SPEC.read_text(encoding="utf-8").splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]  # comments only cost time here
    ended: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="fuzz-specs-") as folder:
        path = Path(folder) / "spec.toml"
        for _ in range(inputs):
            path.write_bytes(text(rng, lines))
            try:
                spec = load_spec(path)
            except SpecError as error:
                said = str(error)
                assert "\n" not in said, said
                ended[_kind(said.split(": ", 1)[1])] += 1
            else:
                assert 0 <= spec.invisible_trigger.target <= 9
                assert 0 < spec.invisible_trigger.epsilon <= 1
                ended["read"] += 1
    return ended


def _kind(message: str) -> str:
    for kind in (
        "missing",
        "unknown",
        "first key",
        "not a TOML file",
        "must be a table",
        "must not be negative",
    ):
        if kind in message:
            return kind
    return "out of range or of another type"
