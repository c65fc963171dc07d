"""What of a file is still a stub: found as text, so that nothing of a student's runs."""

from pathlib import Path

import pytest

from grader.contract import part
from grader.isolation import ROOT
from grader.submission import Source

STUBS = (ROOT / "assignment" / "fine_pruning.py").read_text(encoding="utf-8")
SOLUTION = (ROOT / "solution" / "fine_pruning.py").read_text(encoding="utf-8")
NAMES = ("rank_neurons", "prune_and_compress")
PART = part("fine_pruning")


def source(text: str) -> Source:
    return Source(Path("fine_pruning.py"), text.encode())


def test_what_was_handed_out_is_untouched() -> None:
    found = source(STUBS)
    lines = STUBS.splitlines()
    assert tuple(found.stubs) == NAMES
    assert all(f"TODO({name})" in lines[line - 1] for name, line in found.stubs.items())
    assert found.is_untouched(PART)
    assert source(STUBS.replace("\n", "\r\n")).is_untouched(PART)


def test_a_stub_without_its_docstring_and_comment_is_one() -> None:
    text = "".join(f'def {n}(a,\n      b):\n\n    raise NotImplementedError("TODO({n})")\n' for n in NAMES)
    assert source(text).is_untouched(PART)


@pytest.mark.parametrize("below", [False, True], ids=["begun", "raise left below the code"])
def test_code_above_the_raise_is_an_attempt(below: bool) -> None:
    todo = "    # TODO: your code here\n"
    code = "    return incoming.abs()\n" if below else "    sizes = incoming.abs()\n"
    text = STUBS
    for name in NAMES:
        text = text.replace(
            f'    raise NotImplementedError("TODO({name})',
            f'{code}{todo}    raise NotImplementedError("TODO({name})',
        )
    found = source(text)
    assert found.stubs == {}
    assert not found.is_untouched(PART)


def test_no_file_is_untouched_and_the_solution_is_not() -> None:
    assert Source(Path("fine_pruning.py"), problem="missing_file").is_untouched(PART)
    assert not source(SOLUTION).is_untouched(PART)
    assert not source(SOLUTION).stubs
