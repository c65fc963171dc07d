"""A solution file to a student's stub.

A solution marks what students must not see with two lines, as nbgrader does:

    ### BEGIN SOLUTION
    ...
    ### END SOLUTION

Inside a function of the contract the region is the whole body below the docstring, and becomes a TODO and an error that
names it. At the top level of the file (helpers, imports of the solution alone) the region vanishes. Regions are neither
nested nor open, and stand nowhere else.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grader.contract import Part

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"


class BuildError(Exception):
    """The source cannot be turned into an assignment; the message names file and line."""


@dataclass(frozen=True)
class Region:
    """One marked region: line numbers of its two markers, from 1, and their indentation."""

    begin: int
    end: int
    indent: int


def find_regions(lines: Sequence[str], filename: str) -> list[Region]:
    """The solution regions of a file, in order.

    Raises:
        BuildError: a region is nested, not opened, not closed, or its markers do not stand alone on their lines,
            equally indented.
    """
    regions: list[Region] = []
    opened: tuple[int, int] | None = None  # line number and indentation of the last BEGIN
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if text not in (BEGIN, END):
            if BEGIN in line or END in line:
                raise BuildError(f"{filename}:{number}: a marker must stand alone on its line")
            continue
        indent = len(line) - len(line.lstrip())
        if text == BEGIN:
            if opened:
                raise BuildError(f"{filename}:{number}: a region begins inside the one of line {opened[0]}")
            opened = number, indent
            continue
        if opened is None:
            raise BuildError(f"{filename}:{number}: a region ends here that was never begun")
        if indent != opened[1]:
            raise BuildError(f"{filename}:{number}: indented unlike the beginning in line {opened[0]}")
        regions.append(Region(opened[0], number, indent))
        opened = None
    if opened:
        raise BuildError(f"{filename}:{opened[0]}: this region is never closed")
    return regions


def make_stub(source: str, part: Part) -> str:
    """The student's version of one solution file.

    Args:
        source: the text of the solution.
        part: the part of the contract that the file belongs to; every function of it needs one region.

    Raises:
        BuildError: the source is not Python, does not keep to the contract, or a region is not where it may be.
    """
    filename = f"solution/{part.filename}"
    lines = source.splitlines()
    definitions = _definitions(source, filename)
    regions = find_regions(lines, filename)
    replacements: dict[int, list[str]] = {}  # first line of a region -> what takes its place
    stubbed: set[str] = set()
    for region in regions:
        owner = next((d for d in definitions if d.lineno <= region.begin <= (d.end_lineno or 0)), None)
        if owner is None and region.indent == 0:
            replacements[region.begin] = []
            continue
        name = _region_function(owner, region, part, filename)
        if name in stubbed:
            raise BuildError(f"{filename}:{region.begin}: {name} has a second region; it may have one")
        stubbed.add(name)
        indent = " " * region.indent
        replacements[region.begin] = [
            f"{indent}# TODO({name}): your code here, in place of the next line.",
            f'{indent}raise NotImplementedError("TODO({name}): not implemented yet")',
        ]
    _check_signatures(definitions, stubbed, part, filename)
    return _header(filename) + _replace(lines, regions, replacements)


def _definitions(source: str, filename: str) -> list[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    try:
        module = ast.parse(source, filename)
    except SyntaxError as error:
        raise BuildError(f"{filename}:{error.lineno}: {error.msg}") from error
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [statement for statement in module.body if isinstance(statement, kinds)]


def _region_function(owner: ast.stmt | None, region: Region, part: Part, filename: str) -> str:
    """The name of the contract's function whose body the region is; ``BuildError`` where it is not that."""
    where = f"{filename}:{region.begin}"
    if not isinstance(owner, ast.FunctionDef) or owner.name not in {f.name for f in part.functions}:
        raise BuildError(
            f"{where}: a region belongs at the top level, or into a function of the contract: "
            f"{', '.join(f.name for f in part.functions)}"
        )
    if ast.get_docstring(owner) is None:
        raise BuildError(f"{where}: {owner.name} has no docstring; the student gets nothing else")
    outside = [s for s in owner.body[1:] if not region.begin < s.lineno <= (s.end_lineno or 0) < region.end]
    if outside or region.indent != owner.body[0].col_offset:
        raise BuildError(f"{where}: the region must be the whole body of {owner.name} below its docstring")
    return owner.name


def _check_signatures(definitions: Sequence[ast.stmt], stubbed: set[str], part: Part, filename: str) -> None:
    functions = {d.name: d for d in definitions if isinstance(d, ast.FunctionDef)}
    for function in part.functions:
        definition = functions.get(function.name)
        if definition is None:
            raise BuildError(f"{filename}: the contract's function {function.name} is missing")
        parameters = tuple(argument.arg for argument in definition.args.args)
        if parameters != function.parameters:
            raise BuildError(
                f"{filename}:{definition.lineno}: {function.name}{parameters} does not have the contract's "
                f"parameters {function.parameters}"
            )
        if function.name not in stubbed:
            raise BuildError(f"{filename}:{definition.lineno}: {function.name} has no region to take out")


def _header(filename: str) -> str:
    return f"# Yours to edit. (Course staff: generated from {filename} by `python -m solution.build`; edit there.)\n"


def _replace(
    lines: Sequence[str], regions: Sequence[Region], replacements: Mapping[int, Sequence[str]]
) -> str:
    kept: list[str] = []
    after = 0  # lines up to here are done
    for region in regions:
        kept += [*lines[after : region.begin - 1], *replacements[region.begin]]
        after = region.end
    text = "\n".join([*kept, *lines[after:]]).rstrip("\n") + "\n"
    return re.sub(r"\n{4,}", "\n\n\n", text)  # what a vanished helper leaves behind
