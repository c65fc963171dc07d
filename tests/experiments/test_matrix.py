"""The matrix: its table and figure from given rows, and a run on a model that is there already."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.__main__ import main
from grader.experiments import alarms, matrix, origin, verdicts
from grader.experiments.common import ExperimentProblem
from grader.experiments.matrix import write
from grader.experiments.matrix_table import COLUMNS, NO_DEFENCE, grid, table
from grader.experiments.tables import Row, counted, read_rows, spread, write_rows
from grader.isolation import ROOT
from grader.lab.data import load_mnist
from grader.lab.training import CleanSettings, clean_start
from grader.lab.triggers.backdoor import Backdoor, save_backdoor
from grader.lab.triggers.visible import Patch


def row(attack: str, seed: int, defence: str, **values: str) -> Row:
    given = {"target": "7", "acc": "0.9900", "asr": "1.0000", "before_asr": "0.9990"}
    return {
        **dict.fromkeys(COLUMNS, ""),
        **given,
        "attack": attack,
        "seed": str(seed),
        "defence": defence,
        **values,
    }


ROWS = [
    row("visible", 1, NO_DEFENCE, linf="255", psnr="20.0", ssim="0.9"),
    row("visible", 2, NO_DEFENCE, linf="255", psnr="22.0", ssim="0.9", asr="0.9800"),
    row("visible", 1, "fine_pruning", variant="largest-weight", score="0.5"),
    row("visible", 1, "fine_pruning", variant="dormant", score="0.8", asr="0.2000"),
    row("visible", 1, "neural_cleanse", right="1", asr="0.0100"),
    row("visible", 2, "neural_cleanse", right="0"),
    row("visible", 1, "activation_clustering", score="0.995", asr="0.0010"),
    row("lighting", 1, NO_DEFENCE, linf="80", psnr="9.0", ssim="0.2"),
    row("lighting", 1, "activation_clustering", acc="", asr="", says="n/a: why"),
]  # fmt: skip
ALARMS = [
    dict(zip(alarms.COLUMNS, values, strict=True))
    for values in (
        ("1", "strip", "", "", "10", "1000", "0.9910"),
        ("2", "strip", "", "", "20", "1000", "0.9890"),
        ("1", "neural_cleanse", "", "1", "1", "10", "0.9910"),
        ("2", "neural_cleanse", "", "0", "0", "10", "0.9890"),
    )
]


def test_a_cell_is_a_mean_over_seeds() -> None:
    found = grid(ROWS, ALARMS)
    assert found.attacks == ["visible", "lighting"]
    columns = dict(zip(found.defences, found.cells[0], strict=True))
    assert columns["no defence"].asr == (1.0, 0.98)
    assert columns["Fine-Pruning, dormant"].asr == (0.2,)
    assert columns["Neural Cleanse"].verdict == "names the target: 1 of 2"
    other = dict(zip(found.defences, found.cells[1], strict=True))
    assert other["Activation Clustering"].verdict.startswith("n/a")
    assert other["Neural Cleanse"].verdict == "not run"
    assert dict(zip(found.defences, found.alarms, strict=True))["Neural Cleanse"] == "accuses 1 of 2"


def test_the_table_has_rates_verdicts_and_false_alarms() -> None:
    lines = table(ROWS, ALARMS).splitlines()
    assert (
        "| visible | 2 | 99.00% | 99.00% (98.00% to 100.00%) |  | 255 | 21.0 (20.0 to 22.0) | 0.900 |"
        in lines
    )
    assert "| clean models | 2 | 99.00% (98.90% to 99.10%) |  |  |  |  |  |" in lines
    text = "\n".join(lines)
    assert "50.5% (1.0% to 100.0%) / 99.0%" in text
    assert "names the target in 1 of 2 [1.26 %, 98.7 %]" in text
    assert "F1 0.995; its victim's ASR was 99.9%" in text
    assert "accuses 1 of 2 [1.26 %, 98.7 %]" in text
    assert "n/a: accuses nobody" in text
    assert table([], []) == "Nothing was run."


def test_the_figure_is_drawn(tmp_path: Path) -> None:
    write(tmp_path, ROWS, ALARMS)
    assert (tmp_path / "matrix.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "matrix.md").read_text().startswith("Means over seeds")


def test_intervals() -> None:
    assert spread([0.5, 0.5]) == "50.0%"
    assert spread([0.1, 0.3]) == "20.0% (10.0% to 30.0%)"
    assert counted(10, 10) == "10 of 10 [69.2 %, 100 %]"


def test_a_row_that_is_there_is_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(verdicts, "STRIP_INPUTS", 100)
    model = clean_start(CleanSettings(), 1, load_mnist("train", grey_levels=True))
    (tmp_path / "visible-seed1").mkdir()
    save_backdoor(tmp_path / "visible-seed1", Backdoor(model.eval(), Patch(), 7))
    options = [
        "lab",
        "matrix",
        "--out",
        str(tmp_path),
        "--attacks",
        "visible",
        "--defences",
        "strip",
        "--models",
        "0",
    ]
    assert main(options) == 0
    first = (tmp_path / "matrix.csv").read_bytes()
    assert [r["defence"] for r in read_rows(tmp_path / "matrix.csv", COLUMNS)] == [NO_DEFENCE, "strip"]
    assert main(options) == 0
    assert (tmp_path / "matrix.csv").read_bytes() == first
    assert "s of CPU" in capsys.readouterr().out
    assert {p.name for p in (tmp_path / "visible-seed1").glob("*.png")} == {
        "strip.png",
        "triggered_samples.png",
    }
    assert main([*options, "--target", "3"]) == 2
    assert "another target" in capsys.readouterr().err


def test_clean_models_are_judged_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(verdicts, "STRIP_INPUTS", 100)
    monkeypatch.setattr(
        "grader.lab.triggers.poisoning.SETTINGS", CleanSettings()
    )  # a model that is committed
    options = ["lab", "alarms", "--out", str(tmp_path), "--defences", "strip", "--models", "1"]
    assert main(options) == 0
    (found,) = read_rows(tmp_path / "alarms.csv", alarms.COLUMNS)
    assert int(found["total"]) == 100
    assert float(found["acc"]) > 0.98
    assert main(options) == 0
    assert len(read_rows(tmp_path / "alarms.csv", alarms.COLUMNS)) == 1
    assert "| strip | rejects" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["matrix", "alarms"])
def test_another_submission_s_results_are_not_its_own(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(alarms, "judge_clean_models", lambda *_, **__: [])
    monkeypatch.setattr(matrix, "_attack_row", lambda *_: None)
    defences = ["--defences", "activation_clustering"]
    options = ["lab", command, "--out", str(tmp_path), *defences, "--submission"]
    assert main([*options, str(ROOT / "solution")]) == 0
    row = dict.fromkeys(alarms.COLUMNS, "1") | {"defence": "activation_clustering"}
    write_rows(tmp_path / "alarms.csv", alarms.COLUMNS, [row])
    assert main([*options, str(ROOT / "solution")]) == 0
    capsys.readouterr()
    assert main([*options, str(ROOT / "assignment")]) == 2
    assert f"{tmp_path} has results of another activation_clustering.py" in capsys.readouterr().err


def test_a_model_that_waits_for_its_row_is_somebody_s(tmp_path: Path) -> None:
    origin.claim(tmp_path, ROOT / "solution", ["invisible", "strip"])
    origin.claim(tmp_path, ROOT / "assignment", ["invisible"])  # nothing is there of it yet
    (tmp_path / "invisible-seed1").mkdir()
    (tmp_path / "invisible-seed1" / "backdoor.json").touch()
    with pytest.raises(ExperimentProblem, match=r"another invisible_trigger\.py"):
        origin.claim(tmp_path, ROOT / "solution", ["invisible"])
    origin.claim(tmp_path, ROOT / "solution", ["visible", "fine_pruning"])
    (tmp_path / origin.FILE).write_text("[1]")
    with pytest.raises(ExperimentProblem, match="is damaged"):
        origin.claim(tmp_path, ROOT / "solution", ["invisible"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["matrix", "--seeds", "0"], "--seeds is 1 or more"),
        (["alarms", "--models", "0"], "--models is 1 or more"),
        (["matrix", "--device", "warp"], "--device warp"),
        (["alarms", "--data-dir", "nowhere"], "nowhere"),
    ],
)
def test_bad_input_is_said_in_one_line(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lab", *options, "--out", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert said in line
