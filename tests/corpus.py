"""The corpus: submissions whose right grade is known before they are graded.

- ``mutants/PART/NAME.py``: ONE fault each. A file holds the one function that differs from the reference solution, with
  what it needs, under its label; the other functions are the reference's. The label is TOML in comments::

      # /// label
      # caught_by = "delta_step.projects_onto_ball"
      # finding = "l2_projection"
      # may_fall = ["delta_step.takes_optimizer_step"]
      # ///

  ``caught_by`` must fail, and name the cause ``finding`` where there is one. The checks of ``may_fall`` see the same
  fault and may fail or be skipped (``"poison_step.*"`` for all of a function's); what requires one of these is skipped
  with it and is not listed. Every other check must pass.
- ``styles/PART/NAME/PART.py``: correct, each in another style; everything must pass.
- ``hostile/NAME/``: attacks on the grader. ``label.toml`` says what must happen, see ``Hostile``; with
  ``after_reference = true`` the part's file goes behind the reference solution, and replaces some of it. They run in a
  sandbox only; mutants and styles are harmless.

Check ids in labels go without the part's name. ``tests/corpus_verdict.py`` compares a grading with its label.

    python -m tests.corpus DIRECTORY [KIND ...]     write the items as plain submissions: KIND/PART/NAME/FILE
"""

from __future__ import annotations

import argparse
import ast
import shutil
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from grader.contract import PARTS, Part, part

TESTS = Path(__file__).resolve().parent
SOLUTION = TESTS.parent / "solution"
KINDS = ("mutants", "styles", "hostile")
FEW_STEPS = 40
_BEGIN_LABEL, _END_LABEL = "# /// label", "# ///"
T = TypeVar("T")


class CorpusError(Exception):
    """An item of the corpus is malformed; the message names the file and what is wrong."""


@dataclass(frozen=True)
class Item:
    """One submission of the corpus.

    Attributes:
        name: unique within its kind and part.
        part: the part of the contract that it is a submission for.
        description: what is wrong with it, or what its style is.
        path: its file (mutants) or folder.
    """

    name: str
    part: str
    description: str
    path: Path

    @property
    def kind(self) -> str:
        return self.path.relative_to(TESTS).parts[0]

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Name and content of each file that a student with this submission would hand in."""
        for path in sorted(self.path.rglob("*")):
            if path.is_file() and path.name != "label.toml":
                yield str(path.relative_to(self.path)), path.read_bytes()


@dataclass(frozen=True)
class Mutant(Item):
    """A submission with one fault.

    Attributes:
        function: the function that has it.
        caught_by: id of the check that must fail.
        finding: the cause that this check must name, None where no specific one is expected.
        may_fall: ids of the checks that may fail or be skipped too.
    """

    function: str
    caught_by: str
    finding: str | None
    may_fall: frozenset[str]

    def files(self) -> Iterator[tuple[str, bytes]]:
        yield (
            part(self.part).filename,
            splice(reference(self.part), self.path.read_text("utf-8"), self).encode(),
        )


@dataclass(frozen=True)
class Style(Item):
    """A correct submission."""


@dataclass(frozen=True)
class Hostile(Item):
    """A submission that attacks the grader.

    Attributes:
        row: the kind of attack, one of ``ROWS``.
        gains_at_most: points that the same code earns without the attack; more than these would be a gain.
        loses: ids of the checks that must not pass.
        keeps: ids of the checks that must pass in spite of the attack.
        flagged: whether the report must ask a person to look (True), must not (False), or either (None).
        steps: of training, within which the attack shows itself.
        after_reference: the part's file goes behind the reference solution.
    """

    row: str
    gains_at_most: int
    loses: frozenset[str]
    keeps: frozenset[str]
    flagged: bool | None
    steps: int
    after_reference: bool

    def files(self) -> Iterator[tuple[str, bytes]]:
        for name, content in super().files():
            is_part = self.after_reference and name == part(self.part).filename
            yield name, reference(self.part).encode() + b"\n\n" + content if is_part else content

    @property
    def spares_the_outcome(self) -> bool:
        """What the training is given is right; the attack is on something else."""
        return not any(c.is_outcome and c.id in self.loses for c in part(self.part).checks)


ROWS = frozenset(
    {
        *("leave early", "forge", "patch", "odd objects", "peek", "carry", "inject", "exhaust", "exfiltrate"),
        *("break the reader", "tamper"),
    }
)


@dataclass(frozen=True)
class _MutantLabel:
    caught_by: str
    finding: str = ""
    may_fall: list[str] | None = None


@dataclass(frozen=True)
class _HostileLabel:
    description: str
    part: str
    row: str
    gains_at_most: int
    loses: list[str] | None = None
    keeps: list[str] | None = None
    flagged: bool | None = None
    steps: int = FEW_STEPS
    after_reference: bool = False


# --- reading ---------------------------------------------------------------------------------------------------------


def items(kind: str) -> list[Item]:
    """Every item of ``mutants``, ``styles`` or ``hostile``, by name.

    Raises:
        CorpusError: there is no such kind, or one of its items is malformed.
    """
    readers = {"mutants": mutants, "styles": styles, "hostile": hostile}
    if kind not in readers:
        raise CorpusError(f"no kind is called {kind!r}; there are {', '.join(KINDS)}")
    return list(readers[kind]())


@cache
def mutants() -> tuple[Mutant, ...]:
    return tuple(
        read_mutant(p, path) for p in PARTS for path in sorted((TESTS / "mutants" / p.name).glob("*.py"))
    )


@cache
def styles() -> tuple[Style, ...]:
    return tuple(
        read_style(p, path)
        for p in PARTS
        for path in sorted((TESTS / "styles" / p.name).glob("*"))
        if path.is_dir()
    )


@cache
def hostile() -> tuple[Hostile, ...]:
    return tuple(read_hostile(path.parent) for path in sorted((TESTS / "hostile").glob("*/label.toml")))


@cache
def reference(part_name: str) -> str:
    """The reference solution of a part, without the marks that the generator of the stubs reads."""
    source = (SOLUTION / part(part_name).filename).read_text("utf-8")
    return "".join(line for line in source.splitlines(keepends=True) if not line.lstrip().startswith("### "))


def read_mutant(part_: Part, path: Path) -> Mutant:
    text = path.read_text("utf-8")
    tree = _parse(text, path)
    label = _label(_MutantLabel, _label_text(text, path), path)
    names = {function.name for function in part_.functions}
    changed = [n for node in tree.body for n in _defined_names(node) if n in names]
    if len(changed) != 1:
        raise CorpusError(f"{path}: a mutant has one function of the contract, not {changed}")
    caught_by = _check_ids(part_, [label.caught_by], path)
    if len(caught_by) != 1:
        raise CorpusError(f"{path}: caught_by names one check, not {sorted(caught_by)}")
    return Mutant(
        name=path.stem,
        part=part_.name,
        description=_docstring(tree, path),
        path=path,
        function=changed[0],
        caught_by=next(iter(caught_by)),
        finding=label.finding or None,
        may_fall=_check_ids(part_, label.may_fall or [], path) - caught_by,
    )


def read_style(part_: Part, folder: Path) -> Style:
    path = folder / part_.filename
    if not path.is_file():
        raise CorpusError(f"{folder}: {part_.filename} is missing")
    return Style(folder.name, part_.name, _docstring(_parse(path.read_text("utf-8"), path), path), folder)


def read_hostile(folder: Path) -> Hostile:
    path = folder / "label.toml"
    label = _label(_HostileLabel, path.read_text("utf-8"), path)
    if label.row not in ROWS:
        raise CorpusError(f"{path}: row is one of {', '.join(sorted(ROWS))}, not {label.row!r}")
    try:
        part_ = part(label.part)
    except KeyError as error:
        raise CorpusError(f"{path}: {error.args[0]}") from None
    if not (folder / part_.filename).is_file():
        raise CorpusError(f"{folder}: {part_.filename} is missing")
    if not 0 <= label.gains_at_most <= part_.points:
        raise CorpusError(f"{path}: gains_at_most is between 0 and {part_.points}, not {label.gains_at_most}")
    loses, keeps = (_check_ids(part_, names or [], path) for names in (label.loses, label.keeps))
    if loses & keeps:
        raise CorpusError(f"{path}: {sorted(loses & keeps)} can be lost or kept, not both")
    return Hostile(
        folder.name, part_.name, label.description, folder, label.row, label.gains_at_most, loses, keeps,
        label.flagged, label.steps, label.after_reference,
    )  # fmt: skip


def _parse(text: str, path: Path) -> ast.Module:
    try:
        return ast.parse(text)
    except SyntaxError as error:
        raise CorpusError(f"{path}:{error.lineno}: {error.msg}") from None


def _docstring(tree: ast.Module, path: Path) -> str:
    found = ast.get_docstring(tree)
    if not found:
        raise CorpusError(f"{path}: the module's docstring says what this item is; it is missing")
    return found


def _label_text(text: str, path: Path) -> str:
    lines = text.splitlines()
    if lines.count(_BEGIN_LABEL) != 1 or _END_LABEL not in lines:
        raise CorpusError(f"{path}: a mutant has one label, from {_BEGIN_LABEL!r} to {_END_LABEL!r}")
    block = lines[lines.index(_BEGIN_LABEL) + 1 : lines.index(_END_LABEL)]
    return "\n".join(line.removeprefix("#").strip() for line in block)


def _label(form: type[T], text: str, path: Path) -> T:
    """A label's TOML as a dataclass; keys that are unknown, missing or of another type are errors."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CorpusError(f"{path}: the label is not TOML: {error}") from None
    hints = get_type_hints(form)
    for key, value in data.items():
        if key not in hints:
            raise CorpusError(f"{path}: the label's key {key!r} is unknown; there are {', '.join(hints)}")
        if not _has_type(value, hints[key]):
            raise CorpusError(f"{path}: the label's {key} must not be {value!r}")
    try:
        return form(**data)
    except TypeError as error:
        raise CorpusError(f"{path}: {error}") from None


def _has_type(value: Any, hint: Any) -> bool:
    kinds = [k for k in get_args(hint) or (hint,) if k is not type(None)]
    if list[str] in kinds or str in get_args(hint):
        return isinstance(value, list) and all(isinstance(v, str) for v in value)
    return any(type(value) is k for k in kinds)


def _check_ids(part_: Part, patterns: Iterable[str], path: Path) -> frozenset[str]:
    """Full ids of the checks that the label's short ids and patterns name."""
    found: set[str] = set()
    for pattern in patterns:
        named = {c.id for c in part_.checks if fnmatchcase(c.id, f"{part_.name}.{pattern}")}
        if not named:
            raise CorpusError(f"{path}: no check of {part_.name} is called {pattern!r}")
        found |= named
    return frozenset(found)


# --- writing ---------------------------------------------------------------------------------------------------------


def materialise(item: Item, directory: Path) -> Path:
    """Write the item's files into ``directory / item.name`` as a plain submission and return that folder."""
    folder = directory / item.name
    if folder.exists():
        shutil.rmtree(folder)
    for name, content in item.files():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def splice(whole: str, override: str, mutant: Mutant) -> str:
    """``whole`` with one function replaced by the override's; its imports go to the other imports.

    Raises:
        CorpusError: the override's imports are not at its top.
    """
    tree, theirs = ast.parse(whole), ast.parse(override)
    lines, override_lines = whole.splitlines(), override.splitlines()
    imports = [node for node in theirs.body if isinstance(node, ast.Import | ast.ImportFrom)]
    # docstring, then imports, then the rest with its comments as it is
    if any(node is not found for node, found in zip(imports, theirs.body[1:], strict=False)):
        raise CorpusError(f"{mutant.path}: imports go to the top")
    rest_from = imports[-1].end_lineno if imports else override_lines.index(_END_LABEL) + 1
    rest = "\n".join(override_lines[rest_from:]).strip("\n")
    known = {ast.unparse(node) for node in tree.body}
    new_imports = [text for node in imports if (text := ast.unparse(node)) not in known]
    old = next(node for node in tree.body if mutant.function in _defined_names(node))
    last_import = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)][-1]
    assert old.end_lineno is not None
    assert last_import.end_lineno is not None
    spliced = [
        *lines[: last_import.end_lineno],
        *new_imports,
        *lines[last_import.end_lineno : _first_line(old) - 1],
        rest,
        *lines[old.end_lineno :],
    ]
    return "\n".join(spliced) + "\n"


def _first_line(node: ast.stmt) -> int:
    return min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])


def _defined_names(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    return []


def main(arguments: Sequence[str] | None = None) -> None:
    """Write items as plain submissions."""
    parser = argparse.ArgumentParser(prog="python -m tests.corpus", description=main.__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("kinds", nargs="*", metavar="KIND", default=list(KINDS), help=", ".join(KINDS))
    options = parser.parse_args(arguments)
    for kind in options.kinds:
        found = items(kind)
        for item in found:
            materialise(item, options.directory / kind / item.part)  # two parts may have a name in common
        print(f"{len(found)} {kind} in {options.directory / kind}")


if __name__ == "__main__":
    main()
