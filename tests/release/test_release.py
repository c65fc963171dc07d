"""``python -m solution.release``: what goes out, what must not, and that two runs give the same bytes."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from grader.contract import PARTS
from solution.build import generate
from solution.release import outputs
from solution.release.__main__ import main, release
from solution.release.content import (
    ReleaseError,
    check,
    grader_files,
    leaks,
    requirements,
    solution_runs,
    template,
)
from solution.release.packing import tar_bytes, tree_id, write_folder, zip_bytes

ROOT = Path(__file__).resolve().parents[2]
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
STUDENT = {
    ".gitattributes", ".github/workflows/feedback.yml", ".gitignore", "CHANGELOG.md", "LICENSE", "README.md",
    "README.zh-CN.md", "pyproject.toml", *(f"assignment/{name}" for name in generate(ROOT)),
}  # fmt: skip


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("release") / "dist"
    assert main(["--out", str(out)]) == 0
    return out


def contents(directory: Path) -> dict[str, bytes]:
    """Everything that goes out, by path; the members of archives too."""
    found = {}
    for path in sorted(p for p in directory.rglob("*") if p.is_file()):
        name = path.relative_to(directory).as_posix()
        if ".git/" in name:
            continue
        found[name] = path.read_bytes()
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                found.update({f"{name}/{member}": archive.read(member) for member in archive.namelist()})
    return found


def git(directory: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=directory, capture_output=True, text=True, check=True)
    return done.stdout.strip()


# --- what goes out ---------------------------------------------------------------------------------------------------


def test_the_student_repository_has_what_is_listed_and_nothing_else(released: Path):
    names = {name.removeprefix("student/") for name in contents(released) if name.startswith("student/")}
    assert {name for name in names if not name.startswith("grader/")} == STUDENT
    assert {name for name in names if name.startswith("grader/")} == set(grader_files())
    assert {name for name in names if name.startswith("grader/specs/")} == {"grader/specs/public.toml"}


@needs_git
def test_the_repository_has_one_commit_and_no_history_of_ours(released: Path):
    student = released / "student"
    assert git(student, "rev-list", "--all", "--count") == "1"
    assert git(student, "status", "--porcelain") == ""
    assert git(student, "log", "--format=%an %cn") == "Backdoor Lab Backdoor Lab"
    assert set(git(student, "ls-files").splitlines()) == {*STUDENT, *grader_files()}


@needs_git
def test_the_pinned_grader_is_the_released_one(released: Path):
    text = (released / "student" / ".github/workflows/feedback.yml").read_text(encoding="utf-8")
    pinned = re.search(r'GRADER_TREE: "([0-9a-f]{40})"', text)
    assert pinned is not None
    assert pinned[1] == git(released / "student", "rev-parse", "HEAD:grader")


@needs_git
def test_tree_ids_are_gits(tmp_path: Path):
    files = {
        "a/b.txt": b"1\n",
        "a/b/c": b"",
        "a/b-c": b"\0",
        "a/b0/d/e": b"x" * 9000,
        "a/\u4e2d": b"2",
        "z": b"3",
    }
    write_folder(files, tmp_path)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--all")
    assert tree_id(files, "a") == git(tmp_path, "rev-parse", git(tmp_path, "write-tree") + ":a")


def test_two_runs_give_the_same_bytes(released: Path, tmp_path: Path):
    assert main(["--out", str(tmp_path / "again")]) == 0
    assert contents(tmp_path / "again") == contents(released)
    if shutil.which("git"):
        heads = {git(out / "student", "rev-parse", "HEAD") for out in (released, tmp_path / "again")}
        assert len(heads) == 1


def test_archives_depend_on_their_contents_alone():
    files = {"b": b"2", "setup.sh": b"1"}
    for pack in (zip_bytes, tar_bytes):
        assert pack(files) == pack(dict(reversed(files.items())))
    with zipfile.ZipFile(io.BytesIO(zip_bytes(files))) as archive:
        modes = {info.filename: info.external_attr >> 16 & 0o777 for info in archive.infolist()}
    assert modes == {"b": 0o644, "setup.sh": 0o755}


def test_the_classroom50_bundle_fits(released: Path):
    bundle = {
        n.removeprefix("classroom50/"): c
        for n, c in contents(released).items()
        if n.startswith("classroom50/")
    }
    assert {"autograder.py", "requirements.txt", "grader/__main__.py"} <= set(bundle)
    assert len(tar_bytes(bundle)) < 10 * 2**20
    assert sum(map(len, bundle.values())) < 10 * 2**20


def test_large_weights_stay_out_of_the_classroom50_bundle(monkeypatch: pytest.MonkeyPatch):
    files = {
        "grader/data/resnet18.safetensors": bytes(2**21),
        "grader/data/MNIST/raw/t10k-labels": b"",
        **grader_files(),
    }
    monkeypatch.setattr(outputs, "grader_files", lambda root: files)
    bundle = set(outputs.classroom50_bundle())
    assert not {name for name in bundle if "MNIST" in name or re.search(r"resnet18.*\.safetensors", name)}
    assert {name for name in bundle if re.fullmatch(r"grader/data/lenet5-.*\.safetensors", name)}
    assert "grader/data/resnet18.safetensors" in outputs.student_repository()


def test_the_students_project_needs_what_ours_needs(released: Path):
    import tomllib

    data = tomllib.loads((released / "student" / "pyproject.toml").read_text(encoding="utf-8"))
    assert data["project"]["dependencies"] == requirements()


def test_links_of_the_student_repository_lead_somewhere(released: Path):
    for name in ("README.md", "README.zh-CN.md", "assignment/README.md", "assignment/README.zh-CN.md"):
        path = released / "student" / name
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), (name, target)


# --- solutions -------------------------------------------------------------------------------------------------------


def normal(text: str) -> list[str]:
    lines = (re.sub(r"\s+", " ", line).strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def test_no_three_lines_of_a_solution_go_out(released: Path):
    """Looked for here once more, by other means than the release does."""
    runs = []
    for part in PARTS:
        source = (ROOT / "solution" / part.filename).read_text(encoding="utf-8")
        for region in re.findall(r"### BEGIN SOLUTION\n(.*?)### END SOLUTION", source, flags=re.DOTALL):
            lines = normal(region)
            runs += ["\n".join(lines[i : i + 3]) for i in range(len(lines) - 2)]
    assert len(runs) > 5
    for name, content in contents(released).items():
        if name == "nbgrader/source/backdoor-lab/report.ipynb":
            continue  # for the instructor: nbgrader takes the model answers out of it
        if name.endswith((".gz", ".zip", ".safetensors")):
            continue  # no text; a zip's members are listed by themselves
        text = "\n" + "\n".join(normal(content.decode("utf-8", "replace"))) + "\n"
        assert [run for run in runs if f"\n{run}\n" in text] == [], name


def test_a_solution_is_found():
    runs = solution_runs()
    for part in PARTS:
        source = (ROOT / "solution" / part.filename).read_text(encoding="utf-8")
        indented = source.replace("    ", "  ").replace("\n", "\n\n# a comment\n")
        assert leaks({"x.py": source.encode()}, runs) != []
        assert leaks({"x.md": indented.encode()}, runs) != []
        cells = {"cells": [{"source": source.splitlines(keepends=True)}]}
        assert leaks({"x.ipynb": json.dumps(cells).encode()}, runs) != []
    assert leaks({"x.png": b"\x89PNG\xff"}, runs) == []
    with pytest.raises(ReleaseError, match="marker of a solution"):
        check({"x.py": b"    ### BEGIN SOLUTION\n"})


def test_nothing_is_written_where_a_solution_would_go_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    source = (ROOT / "solution" / PARTS[0].filename).read_bytes()
    monkeypatch.setattr("solution.release.__main__.classroom50_bundle", lambda root: {"grader/x.py": source})
    assert main(["--out", str(tmp_path / "dist")]) == 1
    assert not (tmp_path / "dist").exists()


@pytest.mark.parametrize(
    "name",
    [
        "grader/specs/hidden.toml",
        "grader/data/answers.csv",
        "grader/notes.md",
        "grader/data/x.safetensors.bak",
    ],
)
def test_what_is_not_listed_stays(name: str, tmp_path: Path):
    for path in ("grader/specs/public.toml", name):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    with pytest.raises(ReleaseError, match=re.escape(name)):
        grader_files(tmp_path)


# --- bad usage -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("out", [ROOT, ROOT.parent])
def test_the_checkout_is_not_written_over(out: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["--out", str(out)]) == 1
    assert "a folder of its own" in capsys.readouterr().err


def test_a_file_in_the_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "student").touch()
    assert main(["--out", str(tmp_path)]) == 1
    assert "not a folder" in capsys.readouterr().err


def test_a_bundle_that_does_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("solution.release.__main__.CLASSROOM50_LIMIT", 1000)
    with pytest.raises(ReleaseError, match="Classroom 50"):
        release(tmp_path)


def test_a_template_says_everything(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr("solution.release.content.TEMPLATES", tmp_path)
    (tmp_path / "x").write_text("{{version}} ${{ github.sha }} {{other}}")
    with pytest.raises(ReleaseError, match="other"):
        template("x", version="1")
    with pytest.raises(ReleaseError, match="no place for"):
        template("x", name="1")


@needs_git
def test_a_later_release_is_one_more_commit(tmp_path: Path):
    def publish(content: bytes) -> str | None:
        write_folder({"a": content}, tmp_path, keep=frozenset({".git"}))
        return outputs.commit_release(tmp_path, "0.1.0", 1_800_000_000)

    first, same, second = publish(b"1"), publish(b"1"), publish(b"2")
    assert first == same != second
    assert git(tmp_path, "rev-list", "--all", "--count") == "2"


# --- the bundles at work ---------------------------------------------------------------------------------------------


CLASSROOM50 = {
    "CLASSROOM": "course", "ASSIGNMENT": "backdoor-lab", "OWNER": "student", "USERNAME": "student",
    "SUBMISSION_TAG": "submit/2026-11-20T10-00-00Z-abc1234", "COMMIT_URL": "https://github.com/o/r/commit/abc",
    "RELEASE_URL": "https://github.com/o/r/releases/tag/s", "REVIEW_URL": "https://github.com/o/r/compare/a...b",
}  # fmt: skip


def test_classroom50_gets_no_zero_where_the_grader_fails(released: Path, tmp_path: Path):
    """A grader that fails in place of ours, and a result of the student's own in the checkout."""
    bundle, checkout = tmp_path / "bundle", tmp_path / "checkout"
    (bundle / "grader").mkdir(parents=True)
    shutil.copy(released / "classroom50" / "autograder.py", bundle)
    (bundle / "requirements.txt").touch()
    (bundle / "grader" / "__main__.py").write_text("raise SystemExit(3)\n")
    checkout.mkdir()
    (checkout / "result.json").write_text('{"score": 100}')
    for name in ("pip", "subprocess", "json", "grader"):  # nothing of the student's runs outside the sandbox
        (checkout / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    environment = {**os.environ, **CLASSROOM50, "PIP_NO_INDEX": "1"}
    done = subprocess.run(
        [sys.executable, str(bundle / "autograder.py")],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "no zero" in done.stderr
    assert not (checkout / "result.json").exists()
    assert not (tmp_path / "ran").exists()


@pytest.fixture
def gradescope(released: Path, tmp_path: Path) -> Path:
    """Gradescope's ``/autograder`` with the zip unpacked."""
    with zipfile.ZipFile(released / "gradescope.zip") as archive:
        archive.extractall(tmp_path / "source")
    return tmp_path


def run_autograder(root: Path, python: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "AUTOGRADER_ROOT": str(root), "AUTOGRADER_PYTHON": python}
    command = ["bash", str(root / "source" / "run_autograder")]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


@needs_bash
@pytest.mark.parametrize(
    "layout", ["submission", "submission/assignment", "submission/repository-1/assignment"]
)
def test_gradescope_finds_the_files_and_hides_a_hidden_spec(layout: str, gradescope: Path):
    """With a stand-in for Python that notes what it is asked, and fails."""
    (gradescope / layout).mkdir(parents=True)
    shutil.copy(ROOT / "assignment" / "invisible_trigger.py", gradescope / layout)
    (gradescope / "source" / "spec.toml").touch()
    (gradescope / "results").mkdir()
    (gradescope / "results" / "results.json").write_text('{"score": 100}')
    python = gradescope / "python"
    python.write_text(f'#!/bin/sh\necho "$@" > {gradescope}/asked\nexit 3\n')
    python.chmod(0o755)
    assert run_autograder(gradescope, str(python)).returncode == 3
    asked = (gradescope / "asked").read_text()
    assert f"--submission {gradescope}/{layout} " in asked
    assert "--isolation bubblewrap" in asked
    assert not (gradescope / "results" / "results.json").exists()  # no result, which is no zero


@needs_bash
def test_gradescope_does_not_guess_which_of_two_counts(gradescope: Path):
    """As in a batch, where this is for a person to say."""
    for layout in ("submission", "submission/assignment"):
        (gradescope / layout).mkdir(parents=True, exist_ok=True)
        (gradescope / layout / "invisible_trigger.py").write_text(layout)
    done = run_autograder(gradescope, sys.executable)
    assert done.returncode == 2
    assert "they differ: remove one" in done.stdout


@needs_bash
def test_gradescopes_set_up_is_a_script(gradescope: Path):
    subprocess.run(["bash", "-n", str(gradescope / "source" / "setup.sh")], check=True)
