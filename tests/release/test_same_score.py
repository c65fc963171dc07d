"""The same submission, the same score: by pytest, from the command line, in a batch, and wherever a result is read."""

from __future__ import annotations

import base64
import csv
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grader.__main__ import main
from solution.build import ROOT
from solution.release.outputs import classroom50_bundle, gradescope_zip
from solution.release.packing import write_folder, zip_bytes
from tests.release.courses import ALL_VARIABLE, Class, Course

pytestmark = pytest.mark.slow
# One process for many: torch is imported once, and one sandbox serves them all.
MANY = """
import contextlib, io, pathlib, pytest, sys
from grader.__main__ import main
submissions, spec, out = map(pathlib.Path, sys.argv[1:])
for folder in sorted(submissions.iterdir()):
    options = [f"--submission={folder}", f"--spec={spec}"]
    assert main(["grade", *options, f"--report={out / folder.name}"]) == 0
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        status = pytest.main(["grader/", "-q", "-p", "no:cacheprovider", *options])
    (out / folder.name / "pytest.txt").write_text(printed.getvalue(), encoding="utf-8")
    (out / folder.name / "status").write_text(str(int(status)))
"""
CLASSROOM50 = {
    "CLASSROOM": "course", "ASSIGNMENT": "backdoor-lab", "OWNER": "student", "USERNAME": "student",
    "SUBMISSION_TAG": "submit/2026-11-20T10-00-00Z-abc1234", "COMMIT_URL": "https://github.com/o/r/commit/abc",
    "RELEASE_URL": "https://github.com/o/r/releases/tag/s", "REVIEW_URL": "https://github.com/o/r/compare/a...b",
}  # fmt: skip
COLUMNS = ("pytest", "grade", "batch", "nbgrader", "classroom50", "gradescope", "reporter")


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def printed_score(path: Path) -> int:
    """The score at the end of the scoreboard."""
    (score,) = re.findall(r"^Score: (\d+) of 100$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return int(score)


def notice(text: str) -> int:
    """The points of the notice that autograding-grading-reporter shows."""
    variables = dict(line.split("=", 1) for line in text.splitlines())
    ids = variables.pop("BACKDOOR_LAB_RUNNERS").split(",")
    results = [json.loads(base64.b64decode(variables[f"{id_.upper()}_RESULTS"])) for id_ in ids]
    return sum(test["score"] for result in results for test in result["tests"])


@pytest.fixture(scope="module")
def graded(class_: Class, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every submission graded by ``pytest grader/`` and by ``python -m grader grade``."""
    out = tmp_path_factory.mktemp("graded")
    command = [sys.executable, "-c", MANY, str(class_.submissions), str(class_.spec), str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture
def exported(graded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Exports the report of a login from the command line."""
    for name, value in CLASSROOM50.items():
        monkeypatch.setenv(name, value)

    def export(login: str, form: str) -> Path:
        out = tmp_path / f"{login}.{form}"
        report = graded / login / "report.json"
        more = ("--submitted", "2026-11-20T12:00:00Z") if form == "classroom50" else ()
        assert main(["export", "--report", str(report), "--to", form, "--out", str(out), *more]) == 0
        return out

    return export


def test_the_same_score_everywhere(
    class_: Class,
    graded: Path,
    course: Course,
    exported: Callable[[str, str], Path],
    capsys: pytest.CaptureFixture[str],
):
    with (class_.results / "grades.csv").open(encoding="utf-8", newline="") as file:
        batch = {row["login"]: row for row in csv.DictReader(file)}
    table: dict[str, dict[str, float]] = {}
    for login in class_.logins:
        table[login] = {
            "pytest": printed_score(graded / login / "pytest.txt"),
            "grade": read(graded / login / "report.json")["score"],
            # a person looks at a folder without any of the files: the batch gives no zero by itself
            "batch": int(batch[login]["score"] or 0),
            "nbgrader": sum(course.submission(login)["points"].values()),
            "classroom50": read(exported(login, "classroom50"))["score"],
            "gradescope": read(exported(login, "gradescope"))["score"],
            "reporter": notice(exported(login, "reporter").read_text(encoding="ascii")),
        }
    with capsys.disabled():
        print(f"\n\n{'the same submission':<30}" + "".join(f"{name:>13}" for name in COLUMNS))
        for login, scores in table.items():
            print(f"{login:<30}" + "".join(f"{scores[name]:>13.0f}" for name in COLUMNS))
    assert len(table) == (10 if os.environ.get(ALL_VARIABLE) else 3)
    for login, scores in table.items():
        assert len(set(scores.values())) == 1, (login, scores)
        assert (graded / login / "status").read_text() == ("0" if scores["pytest"] == 100 else "1")
    assert (table["alice"]["grade"], table["stubs"]["grade"]) == (100, 0)
    assert 0 < table["trigger-clamped-above-only"]["grade"] < 100


@pytest.fixture(scope="module")
def one(class_: Class) -> Path:
    """A submission with some of the points, quickly graded."""
    return class_.submissions / "trigger-clamped-above-only"


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_classroom50s_script_gives_it_too(one: Path, class_: Class, graded: Path, tmp_path: Path):
    """As Classroom 50's runner starts it: without arguments, in a checkout that has the data."""
    write_folder(classroom50_bundle(), tmp_path / "bundle")
    checkout = tmp_path / "checkout"
    shutil.copytree(one, checkout / "assignment")
    (checkout / "grader").symlink_to(ROOT / "grader")
    people = ("-c", "user.name=s", "-c", "user.email=s@s")
    for words in (("init", "--quiet"), ("add", "assignment"), ("commit", "--quiet", "-m", "work")):
        subprocess.run(["git", *people, *words], cwd=checkout, check=True)
    environment = {**os.environ, **CLASSROOM50, "PIP_NO_INDEX": "1", "BACKDOOR_LAB_SPEC": str(class_.spec)}
    command = [sys.executable, str(tmp_path / "bundle" / "autograder.py")]
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = read(checkout / "result.json")
    assert result["score"] == read(graded / one.name / "report.json")["score"] > 0
    assert f"Score: {result['score']} of 100" in (checkout / "release-body.md").read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_gradescopes_script_gives_it_too(one: Path, class_: Class, graded: Path, tmp_path: Path):
    (tmp_path / "autograder.zip").write_bytes(zip_bytes(gradescope_zip()))
    with zipfile.ZipFile(tmp_path / "autograder.zip") as archive:
        archive.extractall(tmp_path / "source")
    shutil.copytree(one, tmp_path / "submission" / "assignment")
    environment = {
        **os.environ, "AUTOGRADER_ROOT": str(tmp_path), "AUTOGRADER_PYTHON": sys.executable,
        "BACKDOOR_LAB_SPEC": str(class_.spec),
    }  # fmt: skip
    command = ["bash", str(tmp_path / "source" / "run_autograder")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = read(tmp_path / "results" / "results.json")
    assert result["score"] == read(graded / one.name / "report.json")["score"] > 0
