"""The lab report under the real nbgrader, on a temporary course as it is released."""

from __future__ import annotations

import json

import pytest

from grader.contract import PARTS
from solution.build import ROOT
from solution.handouts import function_points
from solution.release.content import leaks, solution_runs
from tests.release.courses import QUESTIONS, Course

pytestmark = pytest.mark.slow


def test_the_release_is_the_one_that_build_makes(course: Course):
    assert course.statuses["generate"] == 0, course.output
    released = course.folder / "release" / "backdoor-lab"
    assert json.loads((released / "report.ipynb").read_text(encoding="utf-8")) == json.loads(
        (ROOT / "assignment" / "report.ipynb").read_text(encoding="utf-8")
    )
    assert leaks({path.name: path.read_bytes() for path in released.iterdir()}, solution_runs()) == []


def test_the_gradebook_has_the_points_of_the_grader(course: Course):
    assert course.statuses["alice"] == course.statuses["class"] == 0, course.output
    points = {f"points-{name}": float(n) for name, n in function_points(PARTS[0]).items()}
    assert course.submission("alice")["points"] == points
    assert course.submission("stubs")["points"] == dict.fromkeys(points, 0.0)


def test_written_answers_wait_for_a_person_and_missing_ones_do_not(course: Course):
    assert course.submission("alice")["waiting"] == set(QUESTIONS[:3])
    assert course.submission("alice")["written"] == {**dict.fromkeys(QUESTIONS[:3]), QUESTIONS[3]: 0.0}
    assert course.submission("stubs")["waiting"] == set()


def test_a_renamed_cell_is_an_error_and_no_zero(course: Course):
    assert course.statuses["carol"] != 0
    assert "the nbgrader metadata may be corrupted" in course.output
    assert set(course.submission("carol")["points"].values()) == {None}


def test_a_failure_of_the_grader_is_no_zero(course: Course):
    assert course.statuses["dave"] != 0
    assert "Removing failed assignment" in course.output
    assert set(course.submission("dave")["points"].values()) == {None}
    assert not (course.folder / "autograded" / "dave" / "backdoor-lab").exists()


def test_feedback_shows_the_scoreboard_and_the_pictures(course: Course):
    assert course.statuses["feedback"] == 0, course.output
    page = (course.folder / "feedback" / "alice" / "backdoor-lab" / "report.html").read_text(encoding="utf-8")
    assert "Score: 100 of 100" in page
    assert page.count("data:image/png;base64,") >= 3


def test_without_its_gradebook_nbgrader_says_so(course: Course):
    assert course.statuses["no gradebook"] != 0
    assert "No assignment with ID 'backdoor-lab' exists in the database" in course.output
