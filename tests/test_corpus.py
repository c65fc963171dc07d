"""The corpus itself: labels fit the contract, mutants differ in one function, bad labels are errors."""

import ast
from collections import Counter
from pathlib import Path

import pytest

from grader.contract import INVISIBLE_TRIGGER, PARTS
from grader.submission import read_submission
from tests.corpus import (
    KINDS,
    ROWS,
    CorpusError,
    Mutant,
    hostile,
    items,
    main,
    materialise,
    mutants,
    read_hostile,
    read_mutant,
    read_style,
    reference,
    styles,
)
from tests.corpus_verdict import dependents

MUTANT = '''"""No clamp."""

# /// label
# caught_by = "apply_trigger.clamps_to_pixel_range"
# ///


def apply_trigger(x, delta):
    return x + delta
'''
HOSTILE = 'description = "d"\npart = "invisible_trigger"\nrow = "forge"\ngains_at_most = 0\n'


def test_there_are_enough_of_each_kind() -> None:
    assert len(mutants()) >= 120
    assert len(styles()) >= 25
    assert len(hostile()) >= 60
    rows = Counter(item.row for item in hostile())
    assert rows.keys() == ROWS
    assert min(rows.values()) >= 2, rows
    assert sum(len(items(kind)) for kind in KINDS) == len(mutants()) + len(styles()) + len(hostile())


def test_every_item_gets_a_folder_of_its_own(tmp_path: Path) -> None:
    main([str(tmp_path), "styles"])
    assert len(list(tmp_path.glob("styles/*/*"))) == len(styles())


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_every_unit_check_is_needed_by_a_mutant(part) -> None:
    needed = {mutant.caught_by for mutant in mutants() if mutant.part == part.name}
    assert {check.id for check in part.checks if not check.is_outcome} == needed


@pytest.mark.parametrize("mutant", mutants(), ids=lambda item: item.name)
def test_a_mutant_differs_from_the_solution_in_one_function(mutant: Mutant, tmp_path: Path) -> None:
    folder = materialise(mutant, tmp_path)
    names = {f.name for p in PARTS if p.name == mutant.part for f in p.functions}
    right, wrong = (
        functions(reference(mutant.part), names),
        functions((folder / f"{mutant.part}.py").read_text("utf-8"), names),
    )
    assert right.keys() == wrong.keys() == names
    assert {name for name in names if right[name] != wrong[name]} == {mutant.function}
    assert mutant.caught_by.split(".")[1] == mutant.function
    assert not dependents(mutant) & {mutant.caught_by}


def functions(source: str, names: set[str]) -> dict[str, str]:
    """Each function's code, without formatting and comments."""
    found = [
        node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef) and node.name in names
    ]
    assert len(found) == len({node.name for node in found}), "a function is defined twice"
    return {node.name: ast.dump(node) for node in found}


@pytest.mark.parametrize("kind", KINDS)
def test_items_are_written_as_plain_submissions(kind: str, tmp_path: Path) -> None:
    for item in items(kind):
        folder = materialise(item, tmp_path)
        assert folder == tmp_path / item.name
        assert not (folder / "label.toml").exists()
        source = read_submission(folder).sources[item.part]
        assert source.problem is None
        assert not source.stubs


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MUTANT.replace('"""No clamp."""\n', ""), "docstring"),
        (MUTANT.replace("clamps_to", "clamp_to"), "no check of invisible_trigger is called"),
        (MUTANT.replace("# ///\n\n", "\n"), "one label"),
        (MUTANT.replace("caught_by", "caught"), "unknown"),
        (MUTANT.replace('"apply_trigger.clamps_to_pixel_range"', "3"), "must not be 3"),
        (MUTANT.replace('"apply_trigger.clamps_to_pixel_range"', "nothing"), "not TOML"),
        (MUTANT.replace("apply_trigger.clamps_to_pixel_range", "apply_trigger.*"), "names one check"),
        (MUTANT.replace("def apply_trigger", "def other"), "one function of the contract"),
        (MUTANT + "\n\ndef delta_step(delta, delta_optimizer, epsilon):\n    pass\n", "one function"),
        (MUTANT + "\n\ndef broken(:\n", "invalid syntax"),
    ],
)
def test_a_bad_mutant_is_refused_with_the_reason(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_text(text)
    with pytest.raises(CorpusError, match=message) as caught:
        read_mutant(INVISIBLE_TRIGGER, path)
    assert "bad.py" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HOSTILE.replace("forge", "cheat"), "row is one of"),
        (HOSTILE.replace("= 0", "= 101"), "between 0 and 100"),
        (HOSTILE.replace('"invisible_trigger"', '"part_nine"'), "no part is called"),
        (HOSTILE.replace('"d"', "1"), "must not be 1"),
        (HOSTILE.replace('part = "invisible_trigger"', ""), "missing"),
        (HOSTILE + 'loses = ["outcome.*"]\nkeeps = ["*"]\n', "lost or kept"),
        (HOSTILE + "flagged = 1\n", "must not be 1"),
    ],
)
def test_a_bad_hostile_label_is_refused_with_the_reason(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "invisible_trigger.py").touch()
    (tmp_path / "label.toml").write_text(text)
    with pytest.raises(CorpusError, match=message):
        read_hostile(tmp_path)


def test_a_folder_without_its_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "label.toml").write_text(HOSTILE)
    with pytest.raises(CorpusError, match=r"invisible_trigger\.py is missing"):
        read_hostile(tmp_path)
    with pytest.raises(CorpusError, match=r"invisible_trigger\.py is missing"):
        read_style(INVISIBLE_TRIGGER, tmp_path)
