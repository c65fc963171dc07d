"""CONTRIBUTING.md's steps to add a part, followed word by word in a copy of the repository."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
NAME = "visible_patch"
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
# Several gradings in one process: torch is imported once.
GRADE = """
import sys
from grader.__main__ import main
for submission in sys.argv[1:]:
    status = main(["grade", "--submission", submission, "--part", "visible_patch", "--report", f"out/{submission}"])
    assert status == 0, status
"""


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language, in the section on adding a part."""
    section = TEXT[TEXT.index("## How to add a part") :]
    return re.findall(rf"^```{language}\n(.*?)^```$", section, flags=re.DOTALL | re.MULTILINE)


def edit(path: Path, pattern: str, replacement: str) -> None:
    text = path.read_text(encoding="utf-8")
    found = re.findall(pattern, text, flags=re.MULTILINE | re.DOTALL)
    assert len(found) == 1, f"{path.name} is not as CONTRIBUTING.md says: {pattern}"
    text = re.sub(pattern, lambda match: match.expand(replacement), text, flags=re.MULTILINE | re.DOTALL)
    path.write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository with the part added: steps 1 to 6."""
    root = tmp_path_factory.mktemp("repository")
    for folder in ("grader", "solution", "assignment"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__", "data"))
    # the sandbox shows a copy's code, and the parent reads the data
    shutil.copytree(ROOT / "grader" / "data", root / "grader" / "data")
    contract, solution, checks, test = blocks("python")
    texts = "\n".join(blocks("toml"))
    (title,) = re.findall(r'^\(`("part\.visible_patch" = "[^"]+")`\)', TEXT, flags=re.MULTILINE)

    path = root / "grader" / "contract.py"
    edit(
        path,
        r"^(PARTS: tuple\[Part, \.\.\.\] = )\((.*?),?\s*\)$",
        rf"{re.escape('@@')}\n\1(\2, VISIBLE_PATCH)",
    )
    path.write_text(path.read_text(encoding="utf-8").replace("@@", contract), encoding="utf-8")
    (root / "solution" / f"{NAME}.py").write_text(solution, encoding="utf-8")
    (root / "grader" / "parts" / f"{NAME}.py").write_text(checks, encoding="utf-8")
    (root / "grader" / f"test_{NAME}.py").write_text(test, encoding="utf-8")
    path = root / "grader" / "grading.py"
    edit(path, r"^(CHECKS: Mapping\[str, CheckFunction\] = \{)", r"\1**visible_patch.CHECKS, ")
    edit(path, r"^(from grader\.parts\.run import )", rf"from grader.parts import {NAME}\n\1")
    for language in ("en", "zh"):
        path = root / "grader" / "messages" / f"{language}.toml"
        edit(path, r"^\[ui\]$", rf"[ui]\n{title}")
        path.write_text(path.read_text(encoding="utf-8") + f"\n{texts}", encoding="utf-8")
    run(root, "-m", "solution.build")
    return root


def run(root: Path, *words: str) -> str:
    done = subprocess.run([sys.executable, *words], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_steps_give_a_part_that_grades(copy: Path):
    """All points for the solution, none and no blame for the untouched stub, the right finding for a fault."""
    stub = (copy / "assignment" / f"{NAME}.py").read_text(encoding="utf-8")
    assert "# TODO(paste_patch)" in stub
    assert "triggered" not in stub
    fault = (
        (copy / "solution" / f"{NAME}.py").read_text(encoding="utf-8").replace("x.clone()", "x.clone() * 0.9")
    )
    (copy / "fault").mkdir()
    (copy / "fault" / f"{NAME}.py").write_text(fault, encoding="utf-8")
    run(copy, "-c", GRADE, "solution", "assignment", "fault")

    def checks(submission: str) -> dict[str, Any]:
        report = json.loads((copy / "out" / submission / "report.json").read_text(encoding="utf-8"))
        return {c["id"].split(".")[-1]: (c["status"], c["points"], c["finding"]) for c in report["checks"]}

    assert checks("solution") == {"covers_corner": ("passed", 3, None), "keeps_the_rest": ("passed", 2, None)}
    skipped = ("skipped", 0, "not_attempted")
    assert checks("assignment") == {"covers_corner": skipped, "keeps_the_rest": skipped}
    assert checks("fault") == {
        "covers_corner": ("passed", 3, None),
        "keeps_the_rest": ("failed", 0, "changed"),
    }


def test_the_rules_of_the_house_hold_for_the_example(copy: Path):
    """The linter and the drift check, and one test a check that students can choose."""
    run(copy, "-m", "solution.build", "--check")
    ruff = [sys.executable, "-m", "ruff"]
    paths = [f"solution/{NAME}.py", f"grader/parts/{NAME}.py", f"grader/test_{NAME}.py"]
    shutil.copy(ROOT / "pyproject.toml", copy)
    for words in (["check"], ["format", "--check"]):
        done = subprocess.run([*ruff, *words, *paths], cwd=copy, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
    collected = run(copy, "-m", "pytest", "grader/", "--collect-only", "-q", "-k", NAME)
    assert collected.count("test_check[visible_patch.paste_patch.") == 2


def test_the_files_that_it_names_are_there():
    for name in re.findall(r"`((?:grader|solution|tests)/[\w./]+)`", TEXT):
        assert NAME in name or (ROOT / name).exists(), name
    for module in re.findall(r"python -m ((?:grader|solution|tests)[\w.]*)", TEXT):
        path = ROOT / module.replace(".", "/")
        assert path.is_dir() or path.with_suffix(".py").is_file(), module
