"""``feedback.yml``: its shell steps, run in fresh clones of the released student repository."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from solution.release.__main__ import main
from tests.batch.helpers import challenge, small_spec
from tests.release.workflows import WORKFLOWS, Job

ROOT = Path(__file__).resolve().parents[2]
ARTIFACT = "https://github.com/o/r/actions/runs/1/artifacts/2"
NAMES = {"Take the original grader", "Install", "Isolation", "Grade", "Show the result", "Everything passed?"}
pytestmark = pytest.mark.skipif(
    shutil.which("git") is None or shutil.which("bash") is None, reason="needs git and bash"
)


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("release")
    assert main(["--out", str(out)]) == 0
    return out / "student"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``bin`` of a fresh environment in which this one's packages are installed already, so that pip can work
    without the network and leaves nothing behind here."""
    folder = tmp_path_factory.mktemp("python")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    base = {"base": str(folder), "platbase": str(folder)}
    packages = Path(sysconfig.get_path("purelib", vars=base))
    (packages / "these.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


@pytest.fixture
def clone(released: Path, tmp_path: Path) -> Path:
    subprocess.run(["git", "clone", "--quiet", str(released), str(tmp_path / "clone")], check=True)
    return tmp_path / "clone"


def commit(directory: Path, *more: str) -> None:
    people = ("-c", "user.name=s", "-c", "user.email=s@s")
    subprocess.run(["git", *people, "add", "--all"], cwd=directory, check=True)
    subprocess.run(["git", *people, "commit", "--quiet", "-m", "work", *more], cwd=directory, check=True)


def feedback(clone: Path, *, python: Path | None = None, only: str = "", **environment: str) -> Job:
    """The job as a push starts it, in this Python and with what is installed here, or one step of it in another."""
    path = python or Path(sys.executable).parent
    return Job(
        clone / ".github" / "workflows" / "feedback.yml", "feedback", clone, clone.parent / "runner",
        used={"artifact": {"artifact-url": ARTIFACT}},
        environment={
            "PATH": f"{path}{os.pathsep}{os.environ['PATH']}", "CI": "", "PIP_NO_INDEX": "1",
            "PIP_NO_BUILD_ISOLATION": "0",  # pip's own spelling of: without build isolation
            **environment,
        },
        without=frozenset(NAMES - {only}) if only else frozenset({"Install"}),
    ).run()  # fmt: skip


def test_installing(clone: Path, python: Path):
    job = feedback(clone, python=python, only="Install")
    assert job.steps["Install"].conclusion == "success", job.log
    (about,) = python.parent.glob("lib/python*/site-packages/backdoor_lab-*.dist-info/METADATA")
    assert "Requires-Dist: torch" in about.read_text(encoding="utf-8")


def test_the_first_push(clone: Path):
    """Untouched stubs: feedback in all its forms, and a red cross."""
    job = feedback(clone)
    conclusions = {name: ran.conclusion for name, ran in job.steps.items() if name != "Install"}
    assert conclusions.pop("Everything passed?") == "failure", job.log
    assert set(conclusions.values()) == {"success"}, job.log
    assert job.steps["grade"].outputs["status"] == "1"
    assert "Score: 0 of 100" in job.summary
    assert f"({ARTIFACT})" in job.summary
    assert "was changed" not in job.log + job.summary
    shown = job.steps["show"].log
    assert "::error file=assignment/invisible_trigger.py,line=" in shown
    assert (job.temporary / "report" / "report.html").is_file()

    reporter = Job(
        WORKFLOWS / "feedback.yml", "reporter", clone, clone.parent / "reporter",
        context={"needs.feedback.outputs.reporter": job.steps["show"].outputs["reporter"]},
    )  # fmt: skip
    reporter.run()
    given = dict(
        line.split("=", 1) for line in reporter.files["GITHUB_ENV"].read_text(encoding="ascii").splitlines()
    )
    assert reporter._filled(reporter.job["steps"][1]["with"]["runners"]) == given["BACKDOOR_LAB_RUNNERS"]
    results = [
        json.loads(base64.b64decode(given[f"{id_.upper()}_RESULTS"]))
        for id_ in given["BACKDOOR_LAB_RUNNERS"].split(",")
    ]
    assert sum(result["max_score"] for result in results) == 100


def test_a_changed_grader_is_seen_and_said_and_has_no_effect(clone: Path):
    """A good submission that also spoils its copy of the grader, and brings files that pytest or Python would obey."""
    shutil.copy(ROOT / "solution" / "invisible_trigger.py", clone / "assignment")
    (clone / "assignment" / "challenge.toml").write_text(challenge(), encoding="utf-8")
    (clone / "grader" / "grading.py").write_text("raise SystemExit('the changed grader ran')\n")
    (clone / "conftest.py").write_text("raise SystemExit('the student\\'s conftest ran')\n")
    (clone / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    commit(clone)
    spec = small_spec(clone.parent / "spec.toml")
    job = feedback(clone, BACKDOOR_LAB_SPEC=str(spec))
    assert not job.failed, job.log
    assert "::warning title=grader/ was changed::" in job.log
    assert "> grader/ differs from the released one." in job.summary
    assert "Score: 100 of 100" in job.summary
    assert "Leaderboard" in job.summary  # an entry trains here as everywhere
    pictures = {path.name for path in (job.temporary / "report").glob("*.png")}
    assert "trigger.png" in pictures
    assert "ran" not in {line.strip() for line in job.log.splitlines()}


def test_deleted_files_are_told_and_the_grader_is_put_back(clone: Path):
    shutil.rmtree(clone / "grader")
    for name in ("invisible_trigger.py", "challenge.toml", "README.md"):
        (clone / "assignment" / name).unlink()
    commit(clone)
    job = feedback(clone)
    assert job.steps["show"].conclusion == "success", job.log
    assert "::warning title=grader/ was changed::" in job.log
    assert "Score: 0 of 100" in job.summary
    assert "is missing" in job.summary
    assert job.failed


def test_a_history_without_the_original(clone: Path):
    (clone / "grader" / "__init__.py").write_text("")
    shutil.rmtree(clone / ".git")
    subprocess.run(["git", "init", "--quiet"], cwd=clone, check=True)
    commit(clone)
    job = feedback(clone)
    assert job.steps["grader"].conclusion == "failure"
    assert "::error title=no grader::" in job.log
    assert job.steps["grade"].conclusion == "skipped"


def test_it_does_nothing_in_this_repository(tmp_path: Path):
    job = Job(WORKFLOWS / "feedback.yml", "feedback", ROOT, tmp_path).run()
    assert job.steps.pop("here").outputs == {"student": "false"}
    assert {ran.conclusion for name, ran in job.steps.items() if name != "step 0"} == {"skipped"}


@pytest.mark.parametrize("value", ["", "true"])
def test_the_reporter_is_asked_for(value: str, tmp_path: Path):
    job = Job(
        WORKFLOWS / "feedback.yml", "reporter", tmp_path, tmp_path / "t",
        context={"vars.BACKDOOR_LAB_REPORTER": value, "needs.feedback.outputs.reporter": "A=b"},
    )  # fmt: skip
    assert job.evaluate(job.job["if"]) is (value == "true")
