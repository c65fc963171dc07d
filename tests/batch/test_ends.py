"""Ends of the command before anything is graded."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from rich.console import Console

from grader.__main__ import main
from grader.batch import command, warm
from tests.batch.helpers import hand_in


@pytest.fixture
def class_(tmp_path: Path) -> Path:
    for login in ("alice", "dave", "wendy"):
        hand_in(tmp_path / "class", login, f"# {login}")
    return tmp_path / "class"


@pytest.fixture
def nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("something was started")

    monkeypatch.setattr(warm, "start_early", refuse)


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


@pytest.mark.usefixtures("nothing_starts")
def test_without_dask_nothing_is_made(class_: Path, tmp_path: Path, capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["batch", str(class_), "--out", str(tmp_path / "out"), "--dask", "tcp://localhost:9"]) == 2
    assert "Dask is not installed" in told(capsys)
    assert not (tmp_path / "out").exists()


def test_a_number_of_jobs_that_is_none(tmp_path: Path, capsys):
    for jobs in ("abc", "0", "1.5"):
        with pytest.raises(SystemExit, match="2"):
            main(["batch", str(tmp_path), "--out", str(tmp_path), "--jobs", jobs])
        assert f"must be a whole number, at least 1, not '{jobs}'" in told(capsys)


def test_a_full_disk_while_grading_is_told_in_one_line(tmp_path: Path, capsys, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("grader.batch.run.grade_class", full)
    options = argparse.Namespace(out=tmp_path, dask=None)
    batch = command._Batch(options, Console(stderr=True, highlight=False, width=200))
    assert batch._grade({}, None, None) == 1  # type: ignore[arg-type]
    assert "Stopped: [Errno 28] No space left on device. Repair that and start" in told(capsys)


def test_stopped_before_anything_is_graded_it_says_so_in_one_line(
    class_: Path, tmp_path: Path, capsys, monkeypatch
):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command._Batch, "_settings", interrupt)
    assert main(["batch", str(class_), "--out", str(tmp_path / "out")]) == 1
    assert told(capsys) == "Stopped. What is graded is kept; start the same command again to go on."
