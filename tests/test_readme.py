"""The README says what the tables say, and shows pictures that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from grader.experiments import alarms, clean_label_curve, frontier, matrix_table
from grader.experiments.tables import read_rows, write_rows
from grader.isolation import ROOT
from solution import readme
from tests.bench.__main__ import BENCHMARKS


@pytest.mark.parametrize("name", readme.SECTIONS)
def test_the_readme_says_what_the_tables_say(name: str) -> None:
    text = readme.README.read_text(encoding="utf-8")
    assert f"<!-- measured: {name} -->\n\n{readme.section(name)}\n\n<!-- end -->" in text, (
        "run python -m solution.readme"
    )


def test_a_table_that_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readme, "MEASURED", ROOT / "nowhere")
    assert "there is no `nowhere/public_seeds.csv`" in readme.section("seeds")


def test_its_pictures_are_there() -> None:
    text = readme.README.read_text(encoding="utf-8")
    for path in re.findall(r"!\[[^]]*\]\(([^)]+)\)", text):
        assert (ROOT / path).is_file(), path


def test_tables_of_several_folders_are_put_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readme, "MEASURED", tmp_path / "measured")
    blank = dict.fromkeys(matrix_table.COLUMNS, "")
    for seed in ("1", "2"):
        row = {**blank, "attack": "visible", "seed": seed, "defence": "none", "acc": "0.99", "asr": "1.0",
               "linf": "255", "psnr": "20", "ssim": "0.9"}  # fmt: skip
        write_rows(tmp_path / seed / "matrix.csv", matrix_table.COLUMNS, [row])
    (tmp_path / "1" / "visible-seed1").mkdir()
    (tmp_path / "1" / "visible-seed1" / "strip.png").write_bytes(b"a picture")
    run = dict(zip(frontier.COLUMNS, ("joint", "1", "1", "2800", "0.98", "0.99", "0.985"), strict=True))
    write_rows(tmp_path / "2" / "frontier.csv", frontier.COLUMNS, [run])
    kept = ROOT / "solution" / "measured" / "clean_label_curve.csv"
    curve = read_rows(kept, clean_label_curve.COLUMNS)
    write_rows(tmp_path / "1" / "clean_label_curve.csv", clean_label_curve.COLUMNS, curve)
    readme.take([tmp_path / "1", tmp_path / "2"])
    assert readme.rows_of("clean_label_curve.csv") == curve
    assert "| visible | 2 |" in readme.attacks_and_defences()
    assert "| joint | 1/255 | 2,800 |" in readme.smallest_epsilon()
    assert {p.name for p in (tmp_path / "measured").iterdir()} == {
        "matrix.csv", "frontier.csv", "matrix.png", "frontier.png", "strip.png", "clean_label_curve.csv",
        "clean_label_curve.png",
    }  # fmt: skip
    assert readme.rows_of(alarms.FILE) == []


def test_every_benchmark_is_in_the_readme() -> None:
    assert tuple(BENCHMARKS) == readme.BENCHMARKS
