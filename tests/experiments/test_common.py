"""What every experiment's command says before it works."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.__main__ import main
from grader.experiments import attack, defend, frontier
from grader.experiments.common import guarded
from grader.isolation import ROOT
from grader.lab.data import DATA_DIR_VARIABLE


@pytest.mark.parametrize(
    "command",
    [
        ["attack", "visible"],
        ["defend", "strip", "--model", "nowhere"],
        ["frontier"],
        ["matrix"],
        ["clean-label"],
    ],
)
def test_an_out_that_cannot_be_written_is_refused_before_the_work(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def worked(*_: object, **__: object) -> None:
        raise AssertionError("that would be hours")

    for module, name in ((attack, "train_backdoor"), (defend, "apply"), (frontier, "_one")):
        monkeypatch.setattr(module, name, worked)
    assert main(["lab", *command, "--out", str(ROOT / "README.md")]) == 2
    errors = capsys.readouterr().err.strip().splitlines()
    assert len(errors) == 1
    assert f"--out {ROOT / 'README.md'}: no file can be written there" in errors[0]


def test_a_disk_that_is_full_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from argparse import Namespace

    def full(_: Namespace) -> None:
        raise OSError(28, "No space left on device", "x.csv")

    assert guarded(full)(Namespace(out=tmp_path)) == 2
    assert capsys.readouterr().err == "python -m grader lab: [Errno 28] No space left on device: 'x.csv'\n"


@pytest.mark.parametrize("command", [["clean-label"], ["clean-label-curve"], ["train", "resnet18"]])
def test_a_missing_cifar10_names_the_command_s_own_download(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(DATA_DIR_VARIABLE, raising=False)
    folders = ["--out", str(tmp_path / "out"), "--data-dir", str(tmp_path)]
    assert main(["lab", *command, *folders]) == 2
    errors = capsys.readouterr().err
    assert "CIFAR-10 is not in" in errors
    assert "download it (--download of the `python -m grader lab` commands, or" in errors
