"""Make ``assignment/`` from ``solution/``: the stubs and the handouts. Run it after every change of ``solution/``.

    python -m solution.build            write assignment/
    python -m solution.build --check    write nothing; exit 1 and say what drifted

A solution marks what students must not see with two lines, as nbgrader does:

    ### BEGIN SOLUTION
    ...
    ### END SOLUTION

Inside a function of the contract the region is the whole body below the docstring, and becomes a TODO and an error that
names it. At the top level of the file (helpers, imports of the solution alone) the region vanishes. Regions are neither
nested nor open, and stand nowhere else.

In a handout a line ``<!-- insert: points -->`` becomes the table of points, from the contract, and
``<!-- insert: loop -->`` becomes the training loop, from its source, so that neither can drift from what is run.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import os
import re
import sys
import tempfile
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.contract import OUTCOME, PARTS, Part
from grader.messages import title, ui

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
HANDOUTS = {"README.md": "en", "README.zh-CN.md": "zh"}
LOOP_SOURCE, LOOP_FUNCTION = Path("grader/lab/training.py"), "train_backdoor"
IGNORED = {"__pycache__", ".ipynb_checkpoints", ".pytest_cache", ".DS_Store"}
MAX_DIFF_LINES = 20


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


def make_handout(text: str, filename: str, inserts: Mapping[str, str]) -> str:
    """The handout with its inserts, marked as generated.

    Raises:
        BuildError: an insert that does not exist, or one that the handout never asks for.
    """
    asked: set[str] = set()

    def insert(match: re.Match[str]) -> str:
        name = match[1]
        if name not in inserts:
            raise BuildError(
                f"solution/{filename}: no insert is called {name!r}; there are {', '.join(inserts)}"
            )
        asked.add(name)
        return inserts[name]

    body = re.sub(r"^<!-- insert: (.*?) -->$", insert, text, flags=re.MULTILINE)
    if missing := set(inserts) - asked:
        raise BuildError(f"solution/{filename}: lacks <!-- insert: {sorted(missing)[0]} -->")
    mark = f"<!-- Generated from solution/{filename} by `python -m solution.build`; edit there. -->\n\n"
    return mark + body


def points_table(part: Part, language: str) -> str:
    """The points of a part as a Markdown table: one row a function, with its checks by their titles."""
    head = [ui(word, language) for word in ("function", "points", "check")]
    rows = [head, ["---", "---:", "---"]]
    for name in [*(f.name for f in part.functions), OUTCOME]:
        checks = [check for check in part.checks if check.function == name]
        label = ui("outcome", language) if name == OUTCOME else f"`{name}`"
        details = " · ".join(f"{title(check.id, language)} ({check.points})" for check in checks)
        rows.append([label, str(sum(check.points for check in checks)), details])
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows)


def training_loop(source: str) -> str:
    """The loop of part 1 as it stands in its source, without the bookkeeping after the steps, as a fenced block.

    Raises:
        BuildError: the function or its loop is not there.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and node.name == LOOP_FUNCTION:
            loop = next((s for s in node.body if isinstance(s, ast.For)), None)
            steps = [s for s in loop.body if isinstance(s, ast.Assign | ast.Expr)] if loop else []
            steps = [s for s in steps if "history" not in ast.unparse(s)]
            if loop and steps:
                code = "\n".join(source.splitlines()[loop.lineno - 1 : steps[-1].end_lineno])
                return f"```python\n{textwrap.dedent(code)}\n```"
    raise BuildError(f"{LOOP_SOURCE}: {LOOP_FUNCTION} with its loop is not there; the handout prints it")


def generate(root: Path = ROOT, parts: Sequence[Part] = PARTS) -> dict[str, str]:
    """Everything that belongs into ``assignment/``: file name -> text.

    Raises:
        BuildError: a source is missing or faulty.
    """
    files = {part.filename: make_stub(_read(root, Path("solution", part.filename)), part) for part in parts}
    loop = training_loop(_read(root, LOOP_SOURCE))
    for filename, language in HANDOUTS.items():
        inserts = {"points": points_table(parts[0], language), "loop": loop}
        files[filename] = make_handout(_read(root, Path("solution", filename)), filename, inserts)
    return files


def _read(root: Path, path: Path) -> str:
    try:
        return (root / path).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise BuildError(f"{path.as_posix()}: missing") from error
    except UnicodeDecodeError as error:
        raise BuildError(f"{path.as_posix()}: not UTF-8") from error


def extra_files(files: Mapping[str, str], directory: Path) -> list[str]:
    """Names in ``directory`` that nothing generates."""
    found = sorted(path.name for path in directory.iterdir()) if directory.is_dir() else []
    return [name for name in found if name not in files and name not in IGNORED]


def drift(files: Mapping[str, str], directory: Path) -> list[str]:
    """What keeps ``directory`` from being exactly ``files``, in words for a person; empty where nothing does."""
    problems = []
    for name, text in files.items():
        path = directory / name
        if not path.is_file():
            problems.append(f"{directory.name}/{name}: missing")
            continue
        found = path.read_text(encoding="utf-8", errors="replace")
        if found != text:
            changes = list(
                difflib.unified_diff(
                    found.splitlines(),
                    text.splitlines(),
                    f"{directory.name}/{name}",
                    f"generated from solution/{name}",
                    lineterm="",
                    n=1,
                )
            )
            if len(changes) > MAX_DIFF_LINES:
                changes[MAX_DIFF_LINES:] = [f"... and {len(changes) - MAX_DIFF_LINES} more lines"]
            problems.append("\n".join([f"{directory.name}/{name}: differs", *(f"  {c}" for c in changes)]))
    problems += [
        f"{directory.name}/{name}: not generated from anything" for name in extra_files(files, directory)
    ]
    return problems


def write(files: Mapping[str, str], directory: Path) -> None:
    """Put the files in place: all of them are complete on disk before the first one replaces its predecessor.

    Other files of the directory are left alone.
    """
    directory.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".build-") as staging:
        for name, text in files.items():
            Path(staging, name).write_text(text, encoding="utf-8", newline="\n")
        for name in files:
            os.replace(Path(staging, name), directory / name)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status: 0, or 1 for a faulty source or drift."""
    parser = argparse.ArgumentParser(
        prog="python -m solution.build", description="Make assignment/ from solution/."
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 where assignment/ has drifted"
    )
    check = parser.parse_args(arguments).check
    directory = ROOT / "assignment"
    try:
        files = generate()
    except BuildError as error:
        print(f"solution.build: {error}", file=sys.stderr)
        return 1
    if not check:
        write(files, directory)
    problems = drift(files, directory)
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        advice = (
            "Run `python -m solution.build` and commit the result."
            if check
            else "Move what does not belong there."
        )
        print(f"assignment/ is not what solution/ gives. {advice}", file=sys.stderr)
        return 1
    print(
        f"assignment/ is what solution/ gives: {', '.join(files)}" if check else f"wrote {', '.join(files)}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
