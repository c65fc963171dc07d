"""``python -m grader lab attack``: bad input, and the student's trigger through the worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.__main__ import main
from grader.isolation import ROOT


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["invisible", "--epsilon", "0"], "grey levels"),
        (["invisible", "--device", "cuda"], "shows no GPU"),
        (["visible", "--device", "warp"], "--device warp"),
        (["visible", "--epsilon", "3"], "`visible` has no bound, only invisible and dynamic_invisible"),
        (["invisible", "--submission", "nowhere"], "nowhere"),
        (["visible", "--data-dir", "nowhere"], "nowhere"),
    ],
)
def test_bad_input_is_said_in_one_line(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lab", "attack", *options, "--out", str(tmp_path / "out")]) == 2
    errors = capsys.readouterr().err.strip().splitlines()
    assert len(errors) == 1
    assert said in errors[0]
    assert not (tmp_path / "out").exists(), "nothing half-written"


def test_stubs_have_no_attack(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stubs = str(ROOT / "assignment")
    assert main(["lab", "attack", "invisible", "--submission", stubs, "--out", str(tmp_path / "out")]) == 2
    assert "does not run" in capsys.readouterr().err
