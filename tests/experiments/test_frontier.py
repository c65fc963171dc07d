"""The frontier's table and what it keeps; one run of a few steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.__main__ import main
from grader.experiments import frontier
from grader.experiments.frontier import COLUMNS, draw, reaches, stages, table
from grader.experiments.tables import read_rows
from grader.isolation import ROOT


def row(method: str, level: int, seed: int, acc: float, asr: float) -> dict[str, str]:
    values = (method, level, seed, 5, f"{acc:.4f}", f"{asr:.4f}", "0.9900")
    return dict(zip(COLUMNS, map(str, values), strict=True))


def test_the_goal_needs_both_rates() -> None:
    assert reaches(row("joint", 1, 1, 0.988, 0.99))
    assert not reaches(row("joint", 1, 1, 0.9879, 1.0))
    assert not reaches(row("joint", 1, 1, 0.99, 0.9899))


def test_the_table_counts_seeds() -> None:
    rows = [row("joint", 2, 1, 0.99, 1.0), row("joint", 2, 2, 0.99, 0.5), row("random", 2, 1, 0.9, 1.0)]
    lines = table(rows).splitlines()
    assert lines[2] == "| joint | 2/255 | 5 | 75.00% (50.00% to 100.00%) | 99.00% | +0.00 points | 1 of 2 |"
    assert lines[3] == "| random | 2/255 | 5 | 100.00% | 90.00% | +9.00 points | 0 of 1 |"
    assert len(lines) == 4


def test_epsilon_shrinks_to_the_one_asked_for() -> None:
    assert [s.grey_levels for s in stages(1, 2800)] == [4, 2, 1.5, 1]
    assert [s.grey_levels for s in stages(3, 2800)] == [4, 3]
    assert [s.grey_levels for s in stages(8, 2800)] == [8]
    for level in (1, 2, 3, 4, 8):
        assert sum(s.steps for s in stages(level, 1001)) == 1001


def test_the_figure_is_drawn(tmp_path: Path) -> None:
    draw(
        [row(m, k, s, 0.98, 0.9) for m in ("joint", "random") for k in (1, 8) for s in (1, 2)],
        tmp_path / "f.png",
    )
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")


def test_stubs_have_no_frontier(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--submission", str(ROOT / "assignment"), "--levels", "1", "--seeds", "1", "--steps", "8"]
    assert main(["lab", "frontier", "--out", str(tmp_path), *options, "--methods", "joint"]) == 2
    assert "does not run" in capsys.readouterr().err


def test_a_run_that_is_there_is_not_repeated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["lab", "frontier", "--out", str(tmp_path), "--submission", str(ROOT / "solution"), "--levels", "2",
               "--seeds", "1", "--steps", "8"]  # fmt: skip
    assert main(options) == 0
    first = (tmp_path / "frontier.csv").read_bytes()
    assert main(options) == 0
    assert (tmp_path / "frontier.csv").read_bytes() == first
    assert [r["method"] for r in read_rows(tmp_path / "frontier.csv", COLUMNS)] == [
        "joint",
        "random",
        "universal",
    ]
    assert (tmp_path / "frontier.png").exists()
    assert "| universal | 2/255 |" in capsys.readouterr().out


def test_another_submission_s_runs_are_not_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(frontier, "_one", lambda method, level, seed, *_: row(method, level, seed, 0.98, 1.0))
    usual = ["lab", "frontier", "--out", str(tmp_path), "--levels", "8", "--seeds", "1", "--steps", "5"]
    both = {name: [*usual, "--submission", str(ROOT / name)] for name in ("solution", "assignment")}
    assert main([*both["assignment"], "--methods", "random"]) == 0
    assert main(both["solution"]) == 0, "nothing of a submission is in it yet"
    assert main([*both["assignment"], "--methods", "random"]) == 0, "which runs no submission"
    capsys.readouterr()
    assert main(both["assignment"]) == 2
    shown = capsys.readouterr()
    assert "has results of another invisible_trigger.py; name another --out" in shown.err
    assert shown.out == ""
    (tmp_path / "submission.json").unlink()  # of an older version, which did not note it
    assert main(both["assignment"]) == 0


def test_bad_input_is_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "frontier", "--out", str(tmp_path), "--levels", "0"]) == 2
    (tmp_path / "frontier.csv").write_text("another,table\n")
    assert main(["lab", "frontier", "--out", str(tmp_path)]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2
    assert "1 to 255" in errors[0]
    assert "not a table of this command" in errors[1]
