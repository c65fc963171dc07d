"""The lab report of ``solution/`` to the one that students get: nbgrader's release version, made without nbgrader.

What ``nbgrader generate_assignment`` does is done here in the same way (a test compares the two): solution regions
become "YOUR ANSWER HERE", outputs go, locked cells can be neither edited nor deleted, every cell of nbgrader's gets its
checksum.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from grader.contract import Part
from solution.handouts import function_points
from solution.stubs import BuildError, find_regions

FILENAME = "report.ipynb"
STUB = "YOUR ANSWER HERE"
POINTS = "points-"
_KEYS = {"grade", "grade_id", "locked", "schema_version", "solution", "task"}


def make_report(source: str, parts: Sequence[Part]) -> str:
    """The student's notebook.

    Args:
        source: the text of ``solution/report.ipynb``.
        parts: of the contract; each function of the core part needs its graded cell, worth its points.

    Raises:
        BuildError: the source is no notebook, or a cell of nbgrader's is not as it must be.
    """
    try:
        notebook = json.loads(source)
        cells = notebook["cells"]
        for cell in cells:
            _release(cell)
    except (ValueError, KeyError, TypeError) as error:
        raise BuildError(f"solution/{FILENAME}: not a notebook: {error!r}") from error
    _check(cells, parts)
    return json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def _release(cell: dict[str, Any]) -> None:
    if cell["cell_type"] == "code":
        cell["outputs"], cell["execution_count"] = [], None
    about = cell["metadata"].get("nbgrader")
    text = "".join(cell["source"])
    name = f"solution/{FILENAME}, cell {cell['id']}"
    regions = find_regions(text.splitlines(), name)
    if about is None:
        if regions:
            raise BuildError(f"{name}: has a solution region, but is no solution cell of nbgrader's")
        return
    if missing := _KEYS - set(about):
        raise BuildError(f"{name}: its nbgrader metadata lack {', '.join(sorted(missing))}")
    if about["solution"]:
        if len(regions) != 1:
            raise BuildError(f"{name}: a solution cell has one solution region, not {len(regions)}")
        lines, region = text.splitlines(), regions[0]
        text = "\n".join([*lines[: region.begin - 1], STUB, *lines[region.end :]])
        cell["source"] = text.splitlines(keepends=True)
    if about["locked"]:
        cell["metadata"].update(deletable=False, editable=False)
    elif about["grade"] or about["solution"]:
        cell["metadata"]["deletable"] = False
    about["checksum"] = checksum(text, cell["cell_type"], about)
    about["cell_type"] = cell["cell_type"]


def checksum(text: str, cell_type: str, about: dict[str, Any]) -> str:
    """nbgrader's own (MD5, to notice an answer that was never written; nothing rests on it)."""
    parts = [
        text,
        cell_type,
        *(str(about[key]) for key in ("grade", "solution", "locked")),
        about["grade_id"],
    ]
    if about["grade"]:
        parts.append(str(float(about["points"])))
    return hashlib.md5("".join(parts).encode(), usedforsecurity=False).hexdigest()


def _check(cells: Sequence[dict[str, Any]], parts: Sequence[Part]) -> None:
    """Every function of the core parts has its graded cell, and ids are unique."""
    abouts = [cell["metadata"]["nbgrader"] for cell in cells if "nbgrader" in cell["metadata"]]
    ids = [about["grade_id"] for about in abouts]
    if doubled := {id_ for id_ in ids if ids.count(id_) > 1}:
        raise BuildError(f"solution/{FILENAME}: two cells are called {sorted(doubled)[0]}")
    wanted = {
        f"{POINTS}{name}": n for part in parts if part.core for name, n in function_points(part).items()
    }
    found = {
        about["grade_id"]: about["points"] for about in abouts if about["grade"] and not about["solution"]
    }
    for id_ in sorted(wanted.keys() | found.keys()):
        if (has := found.get(id_)) != (should := wanted.get(id_)):
            raise BuildError(f"solution/{FILENAME}: {id_} has {has} points; the contract says {should}")
