"""The command line itself: what it refuses before it works, and what is left of a run that cannot go on."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from grader import doctor, report_files
from grader.__main__ import main
from grader.isolation import ROOT
from grader.settings import UsageProblem, check_device, check_writable
from tests.processes import descendants

STUBS = str(ROOT / "assignment")
QUICK = ["grade", "--submission", STUBS, "--part", "fine_pruning"]


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What is said of it on stderr, in one line."""
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == "", "refused before grading"
    lines = shown.err.strip().splitlines()
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize("place", ["README.md", "README.md/below", "/proc/x"])
def test_a_report_that_cannot_be_written_is_refused_before_grading(
    place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"--report {ROOT / place}: no file can be written" in refused(
        [*QUICK, "--report", str(ROOT / place)], capsys
    )


def test_trying_a_place_leaves_nothing_there(tmp_path: Path) -> None:
    check_writable("--out", tmp_path / "a" / "b")
    assert not list(tmp_path.iterdir())
    (tmp_path / "kept").mkdir()
    check_writable("--out", tmp_path / "kept" / "b")
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]


def test_the_scoreboard_is_shown_whatever_becomes_of_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "report.json")

    monkeypatch.setattr(report_files, "write_report", full)
    assert main([*QUICK, "--report", str(tmp_path)]) == 2
    shown = capsys.readouterr()
    assert "scoreboard" in shown.out
    assert len(shown.err.strip().splitlines()) == 1
    assert "no report: [Errno 28] No space left on device" in shown.err


def test_pytest_refuses_a_report_that_cannot_be_written() -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "grader/",
        "--submission",
        "assignment",
        "-q",
        "--report",
        "README.md",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 4, done.stdout + done.stderr
    assert "--report README.md: no file can be written there" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_pytest_shows_the_scoreboard_whatever_becomes_of_the_report(tmp_path: Path) -> None:
    program = """
import sys, pytest
from grader import report_files
def full(*_):
    raise OSError(28, "No space left on device", "report.json")
report_files.write_report = full
sys.exit(pytest.main(["grader/test_fine_pruning.py", "--submission", "assignment", "-q", *sys.argv[1:]]))
"""
    command = [sys.executable, "-c", program, "--report", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 4, done.stdout + done.stderr
    assert f"No report in {tmp_path}: [Errno 28] No space left on device" in done.stdout
    assert "scoreboard" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_pytest_says_why_there_is_no_entry_for_the_leaderboard() -> None:
    command = [sys.executable, "-m", "pytest", "grader/", "--submission", "solution", "-q", "-k", "challenge"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No entry: challenge.toml says enabled = false" in done.stdout
    assert "scoreboard" not in done.stdout


@pytest.mark.parametrize("seed", ["-1", "99999999999999999999999"])
def test_a_seed_that_is_none_is_refused(seed: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"--seed {seed}: a seed is" in refused([*QUICK, "--seed", seed], capsys)


@pytest.mark.parametrize("device", ["foo", "meta"])
def test_a_device_that_is_none_is_refused(device: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"--device {device}: " in refused([*QUICK, "--in-process", "--device", device], capsys)


def test_a_device_that_is_not_here_is_refused() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(UsageProblem, match="--device cuda: "):
        check_device("cuda")


def test_the_folder_above_the_files_is_no_submission_of_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(STUBS, tmp_path / "assignment")
    said = refused(["grade", "--submission", str(tmp_path)], capsys)
    assert f"it holds no invisible_trigger.py, but {tmp_path / 'assignment'} does" in said
    assert said.endswith(f"--submission {tmp_path / 'assignment'}")


def test_an_archive_is_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = shutil.make_archive(str(tmp_path / "alice"), "zip", STUBS)
    said = refused(["grade", "--submission", archive], capsys)
    assert "unpack it" in said
    assert "grader batch" in said


def test_ctrl_c_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "examine", interrupted)
    assert main(["doctor"]) == 130
    assert capsys.readouterr().err.strip() == "python -m grader: stopped"


def test_a_grading_that_is_stopped_leaves_no_traceback() -> None:
    """The terminal's Ctrl-C reaches every process of the group, so the sandbox's too."""
    command = [
        sys.executable,
        "-m",
        "grader",
        "grade",
        "--submission",
        "solution",
        "--part",
        "invisible_trigger",
    ]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        while len(descendants(running.pid)) == 1 and running.poll() is None:
            time.sleep(0.1)
        time.sleep(2)  # the sandbox has begun; on a slow machine it imports torch, on a fast one it trains
        out, err = _press_ctrl_c(running)
    # where an import is interrupted within exec(), Python itself ends with the signal; a shell calls both 130
    assert running.returncode in (130, -signal.SIGINT), err
    assert "Traceback" not in out + err
    assert err.strip() == "python -m grader: stopped"


def _press_ctrl_c(running: subprocess.Popen[str]) -> tuple[str, str]:
    """As a person does: once more where nothing happens, since some package may swallow it while it is imported."""
    for _ in range(3):
        os.killpg(running.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return running.communicate(timeout=20)
    raise AssertionError("Ctrl-C does not stop it")


def test_a_reader_that_has_enough_is_no_error() -> None:
    command = f"{sys.executable} -m grader doctor | head -2"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 2
    assert done.returncode == 141
