"""``python -m grader lab defend``, and the verdicts behind it; trainings of a few seconds at most."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from grader.__main__ import main
from grader.experiments import algorithms, verdicts
from grader.experiments.verdicts import Data
from grader.isolation import ROOT
from grader.lab.data import Images, load_mnist
from grader.lab.defences.neural_cleanse import Settings
from grader.lab.models import LeNet5
from grader.lab.training import CleanSettings, clean_start
from grader.lab.triggers.backdoor import Backdoor, save_backdoor
from grader.lab.triggers.invisible import Perturbation
from grader.lab.triggers.visible import Patch
from tests.plain_pruning import Pruning

TARGET = 7


class Known(Pruning):
    """Algorithms that are told where the poison is; the rest is as plain as can be."""

    def __init__(self) -> None:
        self.flags = torch.zeros(0, dtype=torch.bool)

    def cluster_class(self, features: Tensor, seed: int) -> Tensor:
        return (features[:, 0] > features[:, 0].median()).long()

    def flag_poisoned(self, features: Tensor, labels: Tensor, seed: int) -> Tensor:
        return self.flags

    def scramble_labels(self, labels: Tensor, flagged: Tensor, num_classes: int, seed: int) -> Tensor:
        return torch.where(flagged, (labels + 1) % num_classes, labels)


@pytest.fixture(scope="module")
def test_images() -> Images:
    return load_mnist("test", grey_levels=True)


@pytest.fixture(scope="module")
def clean_model(test_images: Images) -> LeNet5:
    return clean_start(CleanSettings(), 1, test_images).eval()


@pytest.fixture(scope="module")
def data(test_images: Images) -> Data:
    """Small: 6,000 images to train on, 1,000 to judge on."""
    return Data(test_images.subset(slice(0, 6000)), test_images.subset(slice(6000, 7000)), 1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["strip", "--model", "nowhere"], "nowhere: not a backdoored model"),
        (["strip", "--model", "nowhere", "--device", "warp"], "--device warp"),
    ],
)
def test_bad_input_is_said_in_one_line(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lab", "defend", *options, "--out", str(tmp_path / "out")]) == 2
    errors = capsys.readouterr().err.strip().splitlines()
    assert len(errors) == 1
    assert said in errors[0]
    assert not (tmp_path / "out").exists()


def test_a_trigger_of_another_shape_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_backdoor(tmp_path, Backdoor(LeNet5(), Perturbation(torch.zeros(1, 1, 28, 28), 0.1), TARGET))
    save_file(
        {"delta": torch.zeros(1, 1, 32, 32), "epsilon": torch.tensor([0.1])}, tmp_path / "trigger.safetensors"
    )
    assert main(["lab", "defend", "strip", "--model", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert str(tmp_path) in capsys.readouterr().err


def test_stubs_defend_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], clean_model: LeNet5
) -> None:
    save_backdoor(tmp_path, Backdoor(clean_model, Patch(), TARGET))
    options = [
        "--model",
        str(tmp_path),
        "--out",
        str(tmp_path / "out"),
        "--submission",
        str(ROOT / "assignment"),
    ]
    assert main(["lab", "defend", "fine_pruning", *options]) == 2
    assert "not written yet" in capsys.readouterr().err


def test_a_verdict_is_kept_with_its_picture(
    clean_model: LeNet5, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(verdicts, "STRIP_INPUTS", 100)
    save_backdoor(tmp_path, Backdoor(clean_model, Patch(), TARGET))
    out = tmp_path / "out"
    assert main(["lab", "defend", "strip", "--model", str(tmp_path), "--out", str(out)]) == 0
    (verdict,) = json.loads((out / "verdict.json").read_text())
    assert verdict["right"] is False, "there is no backdoor in this model, and the patch does nothing"
    assert verdict["score"] > 0.9
    assert verdict["before"]["asr"] < 0.1
    assert (out / "strip.png").read_bytes().startswith(b"\x89PNG")
    assert "strip on visible: FAR" in capsys.readouterr().out


def test_fine_pruning_speaks_for_each_rule(clean_model: LeNet5, data: Data, tmp_path: Path) -> None:
    found = verdicts.by_fine_pruning(Backdoor(clean_model, Patch(), TARGET), data, Known(), shares=(0.0,))
    assert [v.variant for v in found] == ["largest-weight", "dormant"]
    for verdict in found:
        assert verdict.alarm is None
        assert verdict.after is not None
        assert verdict.before[0].value - verdict.after[0].value <= 0.01
    verdicts.draw(found[0], tmp_path / "curve.png")
    assert (tmp_path / "curve.png").exists()


def test_clustering_gets_a_victim_of_its_own(
    data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backdoor = Backdoor(LeNet5(), Patch(), TARGET)
    victim, poisoned = verdicts.fresh_victim(backdoor, data)
    monkeypatch.setattr(verdicts, "fresh_victim", lambda backdoor, data: (victim, poisoned))
    algorithm = Known()
    algorithm.flags = poisoned.poisoned
    (found,) = verdicts.by_activation_clustering(backdoor, data, algorithm)
    assert found.score == 1.0
    assert found.right
    assert found.before[1].value > 0.9, "the poison planted the trigger"
    assert found.after is not None
    assert found.after[1].value < 0.5, "and what knows all poison makes the model forget it"
    verdicts.draw(found, tmp_path / "clusters.png")
    assert (tmp_path / "clusters.png").exists()

    monkeypatch.setattr(verdicts, "LEAST_PLANTED", 1.01)
    (found,) = verdicts.by_activation_clustering(backdoor, data, algorithm)
    assert found.after is None
    assert found.says.startswith("n/a")


def test_neural_cleanse_says_whether_it_is_the_target(
    clean_model: LeNet5, data: Data, tmp_path: Path
) -> None:
    few = Settings(rounds=2, steps=1)
    (found,) = verdicts.by_neural_cleanse(Backdoor(clean_model, Patch(), TARGET), data, settings=few)
    assert found.right == (TARGET in found.details["reversed"].flagged)
    verdicts.draw(found, tmp_path / "reversed.png")
    assert (tmp_path / "reversed.png").exists()
    false = verdicts.cleanse_on_clean(clean_model, data, settings=few)
    assert false.flagged.total == 10
    assert false.alarm == (false.flagged.hits > 0)


def test_clean_images_taken_for_poison_are_counted(clean_model: LeNet5, data: Data) -> None:
    algorithm = Known()
    algorithm.flags = torch.zeros(6000, dtype=torch.bool)
    quiet = verdicts.clustering_on_clean(clean_model, data, algorithm)
    assert (quiet.alarm, quiet.flagged.hits) == (False, 0)
    algorithm.flags[:30] = True
    loud = verdicts.clustering_on_clean(clean_model, data, algorithm)
    assert (loud.alarm, loud.flagged.hits, loud.flagged.total) == (True, 30, 6000)


def test_what_an_algorithm_cannot_do_is_one_line(
    clean_model: LeNet5, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Forgetful(Known):
        def rank_neurons(self, incoming: Tensor, activations: Tensor, rule: str) -> Tensor:
            return torch.zeros(len(incoming), dtype=torch.int64)

    @contextmanager
    def forgetful(name: str, submission: Path | None = None) -> Iterator[Known]:
        yield Forgetful()

    monkeypatch.setattr(algorithms, "of_submission", forgetful)
    save_backdoor(tmp_path, Backdoor(clean_model, Patch(), TARGET))
    assert (
        main(["lab", "defend", "fine_pruning", "--model", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    )
    assert "each of the 84 neurons once" in capsys.readouterr().err
