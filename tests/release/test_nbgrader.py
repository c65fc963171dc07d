"""The lab report under the real nbgrader, on a temporary course as it is released."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from grader.contract import PARTS
from solution.build import ROOT
from solution.handouts import function_points
from solution.release.content import leaks, solution_runs
from solution.release.outputs import nbgrader_course
from solution.release.packing import write_folder
from tests.batch.helpers import small_spec, solution

pytest.importorskip("nbgrader", reason="nbgrader is not installed: pip install -e '.[nbgrader]'")
pytestmark = pytest.mark.slow
QUESTIONS = ("answer-objective", "answer-defences", "answer-labels", "answer-deploy")


@dataclass(frozen=True)
class Course:
    """A course folder after everything, with what was printed and the exit status of each command."""

    folder: Path
    output: str
    statuses: list[int]


def nbgrader(folder: Path, *commands: list[str], **variables: str) -> Course:
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = {
        **os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "BACKDOOR_LAB_SPEC": str(folder / "spec.toml"),
        "JUPYTER_NO_CONFIG": "1", "HOME": str(folder), "IPYTHONDIR": str(folder / ".ipython"), **variables,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "tests.release.nbgrader_cli", json.dumps(commands)],
        cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    *output, last = done.stdout.rstrip().splitlines()
    return Course(folder, "\n".join(output), json.loads(last))


def hand_in(folder: Path, login: str, text: str, answers: dict[str, str]) -> None:
    """What a student hands in: the folder assignment/ with the file, and the notebook with the answers."""
    target = folder / "submitted" / login / "backdoor-lab"
    shutil.copytree(ROOT / "assignment", target, ignore=shutil.ignore_patterns("__pycache__"))
    (target / "invisible_trigger.py").write_text(text, encoding="utf-8")
    path = target / "report.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["id"] in answers:
            cell["source"] = [answers[cell["id"]]]
    path.write_text(json.dumps(notebook), encoding="utf-8")


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """Good work; none at all; a renamed graded cell; and one whose grading fails for the grader's reasons."""
    folder = tmp_path_factory.mktemp("nbgrader") / "course"
    write_folder(nbgrader_course(), folder)
    small_spec(folder / "spec.toml")
    stubs = (ROOT / "assignment" / "invisible_trigger.py").read_text(encoding="utf-8")
    hand_in(folder, "alice", solution(), dict.fromkeys(QUESTIONS[:3], "Because it is so."))
    for login, text in (("bob", stubs), ("carol", stubs), ("dave", solution("dave"))):
        hand_in(folder, login, text, {})
    carols = folder / "submitted" / "carol" / "backdoor-lab" / "report.ipynb"
    renamed = carols.read_text(encoding="utf-8").replace('"points-delta_step"', '"points-of-mine"')
    carols.write_text(renamed, encoding="utf-8")
    return nbgrader(
        folder,
        ["generate_assignment", "backdoor-lab"],
        *(["autograde", "backdoor-lab", "--student", login] for login in ("alice", "bob", "carol")),
        ["rename", "spec.toml", "gone.toml"],
        ["autograde", "backdoor-lab", "--student", "dave"],
        ["generate_feedback", "backdoor-lab"],
        ["autograde", "backdoor-lab", "--student", "bob", "--force", "--db", "sqlite:///other.db"],
    )


def submission(course: Course, login: str) -> dict[str, Any]:
    """What the gradebook says of a student: the points of each graded cell, and what waits for a person."""
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course.folder / 'gradebook.db'}") as gradebook:
        found = gradebook.find_submission("backdoor-lab", login)
        grades = {g.name: g for notebook in found.notebooks for g in notebook.grades}
        return {
            "points": {name: g.auto_score for name, g in grades.items() if name.startswith("points-")},
            "written": {name: g.auto_score for name, g in grades.items() if name.startswith("answer-")},
            "waiting": {name for name, g in grades.items() if g.needs_manual_grade},
        }


def test_the_release_is_the_one_that_build_makes(course: Course):
    assert course.statuses[0] == 0, course.output
    released = course.folder / "release" / "backdoor-lab"
    assert json.loads((released / "report.ipynb").read_text(encoding="utf-8")) == json.loads(
        (ROOT / "assignment" / "report.ipynb").read_text(encoding="utf-8")
    )
    assert leaks({path.name: path.read_bytes() for path in released.iterdir()}, solution_runs()) == []


def test_the_gradebook_has_the_points_of_the_grader(course: Course):
    assert course.statuses[1:3] == [0, 0], course.output
    points = {f"points-{name}": float(n) for name, n in function_points(PARTS[0]).items()}
    assert submission(course, "alice")["points"] == points
    assert submission(course, "bob")["points"] == dict.fromkeys(points, 0.0)


def test_written_answers_wait_for_a_person_and_missing_ones_do_not(course: Course):
    assert submission(course, "alice")["waiting"] == set(QUESTIONS[:3])
    assert submission(course, "alice")["written"] == {**dict.fromkeys(QUESTIONS[:3]), QUESTIONS[3]: 0.0}
    assert submission(course, "bob")["waiting"] == set()


def test_a_renamed_cell_is_an_error_and_no_zero(course: Course):
    assert course.statuses[3] != 0
    assert "the nbgrader metadata may be corrupted" in course.output
    assert set(submission(course, "carol")["points"].values()) == {None}


def test_a_failure_of_the_grader_is_no_zero(course: Course):
    assert course.statuses[4] != 0
    assert "Removing failed assignment" in course.output
    assert set(submission(course, "dave")["points"].values()) == {None}
    assert not (course.folder / "autograded" / "dave" / "backdoor-lab").exists()


def test_feedback_shows_the_scoreboard_and_the_pictures(course: Course):
    assert course.statuses[5] == 0, course.output
    page = (course.folder / "feedback" / "alice" / "backdoor-lab" / "report.html").read_text(encoding="utf-8")
    assert "Score: 100 of 100" in page
    assert page.count("data:image/png;base64,") >= 3


def test_without_its_gradebook_nbgrader_says_so(course: Course):
    assert course.statuses[6] != 0
    assert "No assignment with ID 'backdoor-lab' exists in the database" in course.output
