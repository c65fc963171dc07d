"""A release over what is there already: it replaces what a release wrote, and nothing of anybody else's."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from solution.release import __main__ as command
from solution.release import outputs, packing
from solution.release.__main__ import main
from solution.release.outputs import NBGRADER_OWNED, nbgrader_course

FOLDERS = ("student", "classroom50", "nbgrader")


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("release") / "dist"
    assert main(["--out", str(out)]) == 0
    return out


@pytest.fixture
def dist(released: Path, tmp_path: Path) -> Path:
    """A release of one's own."""
    return shutil.copytree(released, tmp_path / "dist")


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(folder).parts
    }


def test_a_course_keeps_what_nbgrader_and_the_instructor_put_there(dist: Path) -> None:
    course, before = dist / "nbgrader", tree(dist)
    theirs = (
        "grades.csv",
        "students.csv",
        "downloaded/a.zip",
        "source/ps2/ps2.ipynb",
        "submitted/x/y.py",
        "gradebook.db",
    )
    for name in theirs:
        (course / name).parent.mkdir(parents=True, exist_ok=True)
        (course / name).write_text("theirs")
    for stale in ("grader/stale.py", "source/backdoor-lab/stale.py"):
        (course / stale).write_text("of an earlier release")
    (course / "grader" / "contract.py").write_text("of an earlier release")
    assert main(["--out", str(dist)]) == 0
    assert tree(dist) == before | {f"nbgrader/{name}": b"theirs" for name in theirs}


def test_what_a_release_owns_of_a_course_is_all_that_it_writes() -> None:
    for name in nbgrader_course():
        assert any(name == owned or name.startswith(f"{owned}/") for owned in NBGRADER_OWNED), name


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_that_no_release_made_is_not_touched(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "README.md").write_text("mine")
    assert main(["--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err.strip()
    assert len(said.splitlines()) == 1
    assert f"{tmp_path / name} was not made by a release" in said
    assert "name another --out" in said
    assert tree(tmp_path) == {f"{name}/README.md": b"mine"}


def test_every_release_is_known_again(released: Path) -> None:
    for name in FOLDERS:
        packing.check_ours(released / name, outputs.SIGNS[name])


def test_a_new_repository_is_nobodys(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    packing.check_ours(tmp_path, outputs.SIGNS["student"])


def test_ctrl_c_leaves_nothing_half_written(
    dist: Path, released: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (dist / "classroom50" / "autograder.py").write_text("of an earlier release")
    write_folder = packing.write_folder

    def interrupted(*arguments: object, **options: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        write_folder(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(command, "write_folder", interrupted)
    assert main(["--out", str(dist)]) == 130
    said = capsys.readouterr().err.strip()
    assert len(said.splitlines()) == 1
    assert "stopped" in said
    assert tree(dist) == tree(released)


def test_a_folder_that_cannot_be_finished_is_left_as_it_was(tmp_path: Path) -> None:
    packing.write_folder({"a": b"1"}, tmp_path / "x")
    with pytest.raises(OSError, match=r"Not a directory|exists"):
        packing.write_folder({"a": b"2", "b": b"", "b/c": b""}, tmp_path / "x")
    assert tree(tmp_path) == {"x/a": b"1"}


def test_where_ctrl_c_is_ignored_nothing_is_stopped() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with packing.uninterrupted():
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
