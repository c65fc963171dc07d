"""The trained ResNet-18: its training, resumed; its weights and their card."""

from __future__ import annotations

import dataclasses
import json
import shutil
from functools import partial
from pathlib import Path

import pytest
import torch

from grader.lab import extractor_training
from grader.lab.data import DataError, Images, load_cifar10, load_weights, save_weights
from grader.lab.extractor import RESNET18, card_text, check_weights, load_resnet18
from grader.lab.extractor_training import CHECKPOINT, Recipe, augmented_batches, train_resnet18
from grader.lab.metrics import accuracy, predict
from grader.lab.models import LeNet5, ResNet18

TINY = Recipe(stages=((8, 1), (12, 1)), restart=(12, 1), batch_size=4)


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    # with 4 channels, torch 2.14 on processors without AVX-512 writes past its own memory in the backward pass
    monkeypatch.setattr(extractor_training, "ResNet18", partial(ResNet18, width=8))


def some_images(count: int = 10) -> Images:
    x = torch.randint(0, 256, (count, 3, 32, 32), generator=torch.Generator().manual_seed(1))
    return Images(x.to(torch.uint8), torch.arange(count) % 10)


class Stopped(Exception):
    pass


def test_a_training_that_was_stopped_goes_on_as_if_it_had_not(tmp_path: Path) -> None:
    whole = train_resnet18(some_images(), TINY, 3, checkpoint=tmp_path / "whole")

    def stop(done: int, steps: int, loss: float) -> None:
        assert steps == 6
        if done == 5:  # in the third epoch
            raise Stopped

    with pytest.raises(Stopped):
        train_resnet18(some_images(), TINY, 3, checkpoint=tmp_path / "cut", progress=stop)
    resumed = train_resnet18(some_images(), TINY, 3, checkpoint=tmp_path / "cut")
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name
    assert not resumed.training


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    train_resnet18(some_images(), TINY, 3, checkpoint=tmp_path)
    with pytest.raises(DataError, match="another recipe or seed"):
        train_resnet18(some_images(), TINY, 4, checkpoint=tmp_path)
    (tmp_path / CHECKPOINT).write_bytes(b"nonsense")
    with pytest.raises(DataError, match="cannot be read as a checkpoint"):
        train_resnet18(some_images(), TINY, 3, checkpoint=tmp_path)


def test_two_epochs_show_each_image_both_ways() -> None:
    x = torch.zeros(6, 1, 16, 16)
    x[..., :8] = torch.linspace(0.1, 0.6, 6).view(-1, 1, 1, 1)  # the left half is brighter
    sides: dict[int, set[bool]] = {}
    for epoch in range(2):
        images = Images(x, torch.arange(6))
        for batch, y in augmented_batches(images, 3, epoch, 1, torch.Generator().manual_seed(epoch)):
            for image, label in zip(batch, y.tolist(), strict=True):
                left = bool(image[..., :4].mean() > image[..., 12:].mean())
                sides.setdefault(label, set()).add(left)
    assert sides == {label: {True, False} for label in range(6)}


def test_the_learning_rate_rises_and_falls_twice() -> None:
    rates = [TINY.rate(step, 50) for step in range(150)]
    for cycle, highest, peak in ((rates[:100], TINY.learning_rate, 20), (rates[100:], TINY.restart_rate, 10)):
        assert max(cycle) == highest == cycle[peak]
        assert cycle[: peak + 1] == sorted(cycle[: peak + 1])
        assert cycle[peak:] == sorted(cycle[peak:], reverse=True)
        assert cycle[-1] > 0


def test_weights_are_kept_in_half_the_size(tmp_path: Path) -> None:
    model, other = LeNet5(), LeNet5()
    save_weights(tmp_path / "half.safetensors", model, float16=True)
    load_weights(tmp_path / "half.safetensors", other)
    for name, value in model.state_dict().items():
        assert other.state_dict()[name].dtype == torch.float32
        assert torch.equal(other.state_dict()[name], value.half().float())


def test_weights_that_their_card_does_not_describe_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    with pytest.raises(DataError, match=r"w.json: missing.*train the model again"):
        check_weights(path)
    save_weights(path, LeNet5())
    path.with_suffix(".json").write_text(card_text(path, LeNet5(), {"seed": 1}))
    assert check_weights(path)["seed"] == 1
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"w.safetensors: damaged.*git checkout"):
        check_weights(path)
    path.unlink()
    with pytest.raises(DataError, match=r"w.safetensors: missing"):
        check_weights(path)
    path.with_suffix(".json").write_text(json.dumps(["no card"]))
    with pytest.raises(DataError, match="cannot be read as a model card"):
        check_weights(path)


def test_a_download_goes_to_the_cache_and_is_found_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from grader.lab import data

    monkeypatch.setenv("BACKDOOR_LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("BACKDOOR_LAB_DATA", raising=False)
    asked: list[str] = []

    def downloaded(root: str, *, download: bool) -> None:
        asked.append(root)
        (Path(root) / "cifar-10-batches-py").mkdir(parents=True)

    monkeypatch.setattr("torchvision.datasets.CIFAR10", downloaded)
    data.download_cifar10()
    assert asked == [str(tmp_path / "cache" / "data")]
    assert data._cifar10_dir(None) == tmp_path / "cache" / "data"
    assert data._cifar10_dir(tmp_path) == tmp_path
    shutil.rmtree(tmp_path / "cache")
    assert data._cifar10_dir(None) == data.DATA_DIR

    def offline(root: str, *, download: bool) -> None:
        raise OSError("no network")

    monkeypatch.setattr("torchvision.datasets.CIFAR10", offline)
    with pytest.raises(DataError, match=r"could not be downloaded.*no network"):
        data.download_cifar10(tmp_path)


def test_the_projects_weights_are_those_that_their_card_describes() -> None:
    card = check_weights(RESNET18)
    assert card["test_accuracy"]["total"] == 10_000
    assert card["test_accuracy"]["hits"] > 9_000
    assert card["recipe"] == json.loads(json.dumps(dataclasses.asdict(Recipe())))
    model = load_resnet18()
    assert not model.training
    assert card["parameters"] == sum(p.numel() for p in model.parameters())


@pytest.mark.cifar10
def test_the_projects_network_recognises_cifar10() -> None:
    card, images = check_weights(RESNET18), load_cifar10("test", grey_levels=True).subset(slice(0, 500))
    rate = accuracy(predict(load_resnet18(), images.x), images.y)
    said = card["test_accuracy"]["hits"] / card["test_accuracy"]["total"]
    assert abs(rate.value - said) < 0.04  # of 500 images: four standard deviations
