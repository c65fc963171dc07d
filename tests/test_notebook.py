"""The lab report without nbgrader: how it is built, and what its cells use."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from grader import notebook
from grader.batch.ledger import grader_hash
from grader.contract import PARTS
from grader.settings import PUBLIC_SPEC, SPEC_VARIABLE
from grader.submission import read_submission
from solution.build import ROOT
from solution.handouts import function_points
from solution.notebooks import make_report
from solution.stubs import BuildError
from tests.exports import reports

SOURCE = (ROOT / "solution" / "report.ipynb").read_text(encoding="utf-8")


def changed(cell_id: str, **changes: Any) -> str:
    """The source with one cell's entries changed; those of nbgrader's metadata by their names."""
    data = json.loads(SOURCE)
    cell = next(cell for cell in data["cells"] if cell["id"] == cell_id)
    for key, value in changes.items():
        (cell if key == "source" else cell["metadata"]["nbgrader"])[key] = value
    return json.dumps(data)


class TestBuilding:
    def test_the_students_version_has_no_answers(self):
        cells = json.loads(make_report(SOURCE, PARTS))["cells"]
        written = [cell for cell in cells if cell["metadata"].get("nbgrader", {}).get("solution")]
        assert len(written) == 4
        assert {"".join(cell["source"]) for cell in written} == {"YOUR ANSWER HERE"}
        assert all(not cell.get("outputs") for cell in cells)

    def test_graded_cells_cannot_be_edited(self):
        for cell in json.loads(make_report(SOURCE, PARTS))["cells"]:
            if cell["id"].startswith("points-"):
                assert cell["metadata"]["editable"] is False
                assert "".join(cell["source"]).startswith("lab.points(")

    @pytest.mark.parametrize(
        ("cell", "changes", "why"),
        [
            ("points-delta-step", {"points": 21}, "points-delta_step has 21 points; the contract says 20"),
            (
                "points-delta-step",
                {"grade_id": "points-delta"},
                "points-delta has 20 points; the contract says None",
            ),
            ("points-delta-step", {"grade_id": "points-outcome"}, "two cells are called points-outcome"),
            ("answer-labels", {"source": ["no region"]}, "one solution region, not 0"),
            ("answer-labels", {"source": ["### BEGIN SOLUTION\n", "x"]}, "never closed"),
            ("title", {"source": ["### BEGIN SOLUTION\n", "x\n", "### END SOLUTION"]}, "no solution cell"),
        ],
    )
    def test_a_faulty_source_is_refused(self, cell: str, changes: dict[str, Any], why: str):
        with pytest.raises(BuildError, match=why):
            make_report(changed(cell, **changes), PARTS)

    @pytest.mark.parametrize("text", ["", "{}", "[]", '{"cells": [{}]}', '{"cells": 3}'])
    def test_no_notebook(self, text: str):
        with pytest.raises(BuildError, match="not a notebook"):
            make_report(text, PARTS)


class TestPoints:
    def test_they_are_floats_that_add_up_to_the_score(self):
        lab = notebook.Lab(reports.mixed())
        points = [lab.points(name) for name in function_points(PARTS[0])]
        assert {type(value) for value in points} == {float}
        assert sum(points) == reports.mixed().score

    def test_of_a_function_that_there_is_not(self):
        with pytest.raises(KeyError, match="apply_trigger"):
            notebook.Lab(reports.full()).points("dance")


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Results of a batch that has graded the untouched stubs, with a score that only they could tell."""
    folder = tmp_path / "results"
    found = reports.mixed(
        submission_hash=read_submission(ROOT / "assignment").hash,
        spec_hash=hashlib.sha256(PUBLIC_SPEC.read_bytes()).hexdigest()[:16],
    )
    found.write(folder / "alice" / "report.json")
    (folder / "summary.json").write_text(json.dumps({"grader": {"hash": grader_hash()}}))
    (folder / "bob").mkdir()
    (folder / "bob" / "report.json").write_text("not a report")
    monkeypatch.setenv(notebook.RESULTS_VARIABLE, str(folder))
    monkeypatch.delenv(SPEC_VARIABLE, raising=False)
    return folder


class TestResultsOfABatch:
    def test_are_taken(self, results: Path):
        assert notebook.grade(ROOT / "assignment").report.score == 41

    def test_not_of_other_files(self, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(notebook, "_grade", lambda *_: notebook.Lab(reports.full()))
        assert notebook.grade(tmp_path).report.score == 100

    @pytest.mark.parametrize("what", ["grader", "spec"])
    def test_not_of_another_grader_or_spec(
        self, what: str, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(notebook, "_grade", lambda *_: notebook.Lab(reports.full()))
        if what == "grader":
            (results / "summary.json").write_text(json.dumps({"grader": {"hash": "0" * 16}}))
        else:
            other = tmp_path / "spec.toml"
            other.write_text(PUBLIC_SPEC.read_text(encoding="utf-8") + "\n", encoding="utf-8")
            monkeypatch.setenv(SPEC_VARIABLE, str(other))
        assert notebook.grade(ROOT / "assignment").report.score == 100


@pytest.mark.parametrize("variable", [SPEC_VARIABLE, notebook.RESULTS_VARIABLE])
def test_a_relative_path_is_refused(variable: str, results: Path, monkeypatch: pytest.MonkeyPatch):
    """The kernel runs in the submission's folder, where it would be something else, or nothing."""
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    monkeypatch.setenv(variable, "results")
    with pytest.raises(
        notebook.GraderFailed, match=f"{variable} is 'results': a notebook needs an absolute path"
    ):
        notebook.grade(ROOT / "assignment")


def test_a_folder_without_results_is_not_passed_over(results: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    (results / "summary.json").unlink()
    with pytest.raises(notebook.GraderFailed, match="no results of a batch"):
        notebook.grade(ROOT / "assignment")


def test_results_that_are_gone_are_a_failure_of_the_grader(results: Path, monkeypatch: pytest.MonkeyPatch):
    """And no error of another kind, which nbgrader would take for a zero."""
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    monkeypatch.setenv(SPEC_VARIABLE, str(results / "gone.toml"))
    with pytest.raises(notebook.GraderFailed, match="FileNotFoundError"):
        notebook.grade(ROOT / "assignment")


def test_a_failure_of_the_grader_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    monkeypatch.setattr(notebook, "ROOT", tmp_path)
    (tmp_path / "grader").mkdir()
    (tmp_path / "grader" / "__main__.py").write_text(
        "import sys; sys.stderr.write('no space left'); sys.exit(3)"
    )
    with pytest.raises(notebook.GraderFailed, match="exit status 3: no space left"):
        notebook.grade(tmp_path)
