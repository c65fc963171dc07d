"""What may leave this repository: an allow-list of files, and a search for solutions in all that passed it."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from grader.contract import PARTS
from solution.build import ROOT, generate
from solution.stubs import BuildError, find_regions

Files = dict[str, bytes]
"""Path with slashes -> content, of what is packed."""

TEMPLATES = Path(__file__).with_name("templates")
CACHES = {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".ipynb_checkpoints", ".DS_Store"}
# What of grader/ may go. A spec is none of it but the public one: a hidden spec must not leave by accident.
GRADER_FILES = (
    r"[\w/]+\.py",
    r"specs/public\.toml",
    r"messages/(en|zh)\.toml",
    r"exports/templates/\w+\.(css|js|html\.j2)",
    r"data/MNIST/raw/[\w-]+-ubyte\.gz",
    r"data/[\w-]+\.(safetensors|json)",
)
DATA = "grader/data/"
RUN = 3
"""Lines of a solution in a row that make a leak."""


class ReleaseError(Exception):
    """Nothing was written; the message says which file must not go, or what is missing."""


def grader_files(root: Path = ROOT) -> Files:
    """``grader/`` as it goes to students.

    Raises:
        ReleaseError: a file lies there that is not on the allow-list.
    """
    files = {}
    for path in sorted((root / "grader").rglob("*")):
        name = path.relative_to(root).as_posix()
        if CACHES & set(path.parts) or path.is_dir():
            continue
        allowed = any(re.fullmatch(f"grader/{pattern}", name) for pattern in GRADER_FILES)
        if not allowed or path.is_symlink():
            raise ReleaseError(
                f"{name}: not on the list of what goes to students (GRADER_FILES in solution/release/content.py). "
                "Move it out of grader/, or add it there"
            )
        files[name] = path.read_bytes()
    return files


def assignment_files(root: Path = ROOT) -> Files:
    """``assignment/`` as it is generated, whatever lies on disk.

    Raises:
        ReleaseError: a source is faulty.
    """
    try:
        generated = generate(root)
    except BuildError as error:
        raise ReleaseError(str(error)) from error
    return {f"assignment/{name}": text.encode() for name, text in generated.items()}


def template(name: str, /, **values: str) -> bytes:
    """A file of ``templates/``, with ``{{NAME}}`` replaced.

    Raises:
        ReleaseError: a placeholder without a value, or a value without a placeholder.
    """
    text = (TEMPLATES / name).read_text(encoding="utf-8")
    for key, value in values.items():
        if f"{{{{{key}}}}}" not in text:
            raise ReleaseError(f"templates/{name} has no place for {key}")
        text = text.replace(f"{{{{{key}}}}}", value)
    if left := re.search(r"(?<!\$)\{\{\w+\}\}", text):
        raise ReleaseError(f"templates/{name}: nothing to put for {left[0]}")
    return text.encode()


def project(root: Path = ROOT) -> Mapping[str, object]:
    """The table ``[project]`` of ``pyproject.toml``."""
    data: Mapping[str, object] = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    return data


def requirements(root: Path = ROOT) -> list[str]:
    """What a student needs, as pip reads it."""
    found = project(root)["dependencies"]
    assert isinstance(found, list)
    return [str(item) for item in found]


# --- solutions -------------------------------------------------------------------------------------------------------


def solution_runs(root: Path = ROOT) -> set[tuple[str, ...]]:
    """Every run of three normalised lines of a solution region.

    Normalised: no white space but single blanks, no comments on lines of their own, no empty lines.
    """
    runs: set[tuple[str, ...]] = set()
    for text, name in _sources(root):
        lines = text.splitlines()
        for region in find_regions(lines, name):
            runs.update(_runs(lines[region.begin : region.end - 1]))
    return runs


def _sources(root: Path) -> Iterator[tuple[str, str]]:
    for part in PARTS:
        yield (root / "solution" / part.filename).read_text(encoding="utf-8"), part.filename
    for path in sorted((root / "solution").glob("*.ipynb")):
        for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
            yield "".join(cell["source"]), f"{path.name}, cell {number}"


def _runs(lines: Sequence[str]) -> Iterator[tuple[str, ...]]:
    normal = [" ".join(line.split()) for line in lines]
    normal = [line for line in normal if line and not line.startswith("#")]
    for start in range(len(normal) - RUN + 1):
        yield tuple(normal[start : start + RUN])


def leaks(files: Mapping[str, bytes], runs: set[tuple[str, ...]]) -> list[str]:
    """Files with three lines of a solution in a row, or with a marker of a solution region, in words."""
    found = []
    for name, content in files.items():
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            continue  # data: pictures, weights
        if name.endswith(".ipynb"):
            text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
        shared = runs.intersection(_runs(text.splitlines()))
        if shared:
            found.append(f"{name} has lines of a solution: {' / '.join(sorted(shared)[0])}")
        if re.search(r"^\s*### (BEGIN|END) SOLUTION\s*$", text, flags=re.MULTILINE):
            found.append(f"{name} has a marker of a solution region")
    return found


def check(files: Mapping[str, bytes], root: Path = ROOT) -> None:
    """Look for solutions in what is to go out.

    Raises:
        ReleaseError: there is one.
    """
    if found := leaks(files, solution_runs(root)):
        raise ReleaseError("; ".join(found))
