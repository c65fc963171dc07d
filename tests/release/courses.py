"""A class whose scores are known, and an nbgrader course with it, driven by nbgrader's command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from solution.build import ROOT
from solution.release.outputs import nbgrader_course
from solution.release.packing import write_folder
from tests.batch.helpers import CORE, hand_in, small_spec, solution
from tests.corpus import mutants

STUBS = (ROOT / "assignment" / CORE).read_text(encoding="utf-8")
# Faults that a check of a single function sees, so that nothing is trained; the first one is always among the class.
MUTANTS = (
    "trigger_clamped_above_only", "clean_term_missing", "delta_gradient_not_cleared", "delta_ascends", "epsilon_fixed",
    "delta_squashed", "biases_not_cleared",
)  # fmt: skip
ALL_VARIABLE = "BACKDOOR_LAB_ALL_SUBMISSIONS"
"""Set (`make equality` does) for the whole class of ten; without, three of them, which takes a third of the time."""
QUESTIONS = ("answer-objective", "answer-defences", "answer-labels", "answer-deploy")


@dataclass(frozen=True)
class Class:
    """Submissions in folders, graded by a batch with the small spec."""

    submissions: Path
    spec: Path
    results: Path

    @property
    def logins(self) -> list[str]:
        return sorted(path.name for path in self.submissions.iterdir())


@dataclass(frozen=True)
class Course:
    """A course folder after everything, with what was printed and the exit status of each command."""

    folder: Path
    output: str
    statuses: Mapping[str, int]

    def submission(self, login: str) -> dict[str, Any]:
        """What the gradebook says of a student: the points of each graded cell, and what waits for a person."""
        from nbgrader.api import Gradebook

        with Gradebook(f"sqlite:///{self.folder / 'gradebook.db'}") as gradebook:
            found = gradebook.find_submission("backdoor-lab", login)
            grades = {g.name: g for notebook in found.notebooks for g in notebook.grades}
            return {
                "points": {name: g.auto_score for name, g in grades.items() if name.startswith("points-")},
                "written": {name: g.auto_score for name, g in grades.items() if name.startswith("answer-")},
                "waiting": {name for name, g in grades.items() if g.needs_manual_grade},
            }


def make_class(folder: Path) -> Class:
    """The solution, the stubs, a fault; with the variable also a missing file and more faults: ten in all."""
    made = Class(folder / "class", small_spec(folder / "spec.toml"), folder / "results")
    whole = bool(os.environ.get(ALL_VARIABLE))
    hand_in(made.submissions, "alice", solution())
    hand_in(made.submissions, "stubs", STUBS)
    if whole:
        hand_in(made.submissions, "misnamed", solution(), filename="invisible_triger.py")
    by_name = {item.name: item for item in mutants()}
    for name in MUTANTS if whole else MUTANTS[:1]:
        ((_, content),) = by_name[name].files()
        hand_in(made.submissions, name.replace("_", "-"), content.decode())
    subprocess.run(
        [sys.executable, "-m", "grader", "batch", made.submissions, "--out", made.results, "--spec", made.spec,
         "--no-pictures", "--allow-weaker-isolation"],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    return made


def hand_in_notebook(course: Path, login: str, files: Mapping[str, str], answers: Mapping[str, str]) -> Path:
    """What a student hands in: the folder assignment/ with the file, and the notebook with the answers."""
    target = course / "submitted" / login / "backdoor-lab"
    target.mkdir(parents=True)
    for name, text in files.items():
        (target / name).write_text(text, encoding="utf-8")
    path = target / "report.ipynb"
    notebook = json.loads((ROOT / "assignment" / "report.ipynb").read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["id"] in answers:
            cell["source"] = [answers[cell["id"]]]
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path


def run_course(folder: Path, class_: Class) -> Course:
    """The class: alice graded here, the others taken from the batch that graded their files; and beside it a renamed
    graded cell, and one whose grading fails for the grader's reasons.
    """
    write_folder(nbgrader_course(), folder)
    shutil.copy(class_.spec, folder)
    for login in class_.logins:
        files = {p.name: p.read_text(encoding="utf-8") for p in (class_.submissions / login).iterdir()}
        answers = dict.fromkeys(QUESTIONS[:3], "Because it is so.") if login == "alice" else {}
        hand_in_notebook(folder, login, files, answers)
    hand_in_notebook(folder, "dave", {CORE: solution("dave")}, {})
    carols = hand_in_notebook(folder, "carol", {CORE: STUBS}, {})
    renamed = carols.read_text(encoding="utf-8").replace('"points-delta_step"', '"points-of-mine"')
    carols.write_text(renamed, encoding="utf-8")
    autograde = ["autograde", "backdoor-lab"]
    commands = {
        "generate": ["generate_assignment", "backdoor-lab"],
        "alice": [*autograde, "--student", "alice"],
        "take": ["setenv", "BACKDOOR_LAB_RESULTS", str(class_.results)],
        "class": [*autograde, "--CourseDirectory.student_id_exclude=alice,carol,dave"],
        "carol": [*autograde, "--student", "carol"],
        "hide": ["rename", "spec.toml", "gone.toml"],
        "dave": [*autograde, "--student", "dave"],
        "feedback": ["generate_feedback", "backdoor-lab", "--student", "alice"],
        "no gradebook": [*autograde, "--student", "stubs", "--force", "--db", "sqlite:///other.db"],
    }
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = {
        **os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "BACKDOOR_LAB_SPEC": str(folder / "spec.toml"),
        "JUPYTER_NO_CONFIG": "1", "HOME": str(folder),
        "IPYTHONDIR": str(folder / ".ipython"),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "tests.release.nbgrader_cli", json.dumps(list(commands.values()))],
        cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    *output, last = done.stdout.rstrip().splitlines()
    return Course(folder, "\n".join(output), dict(zip(commands, json.loads(last), strict=True)))
