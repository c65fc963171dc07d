"""``python -m grader lab train``: what it writes, and bad input."""

from __future__ import annotations

import dataclasses
import json
from functools import partial
from pathlib import Path

import pytest
import torch

from grader.__main__ import main
from grader.lab import extractor, extractor_training
from grader.lab.data import Images
from grader.lab.extractor_training import Recipe
from grader.lab.models import ResNet18


def test_missing_data_and_a_wrong_device_are_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["lab", "train", "resnet18", "--out", str(out), "--data-dir", str(tmp_path)]
    for options, said in (([], "--download"), (["--device", "warp"], "--device warp")):
        assert main([*command, *options]) == 2
        errors = capsys.readouterr().err.strip().splitlines()
        assert len(errors) == 1
        assert said in errors[0]
    assert not out.exists()


def test_weights_and_card_of_a_small_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randint(0, 256, (8, 3, 32, 32), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    images = Images(x, torch.arange(8))
    monkeypatch.setattr("grader.lab.data.load_cifar10", lambda *_, **__: images)
    # with 4 channels, torch 2.14 on processors without AVX-512 writes past its own memory in the backward pass
    monkeypatch.setattr(extractor_training, "ResNet18", partial(ResNet18, width=8))
    monkeypatch.setattr(extractor, "ResNet18", partial(ResNet18, width=8))
    tiny = dataclasses.replace(Recipe(), stages=((8, 1),), restart=(8, 1), batch_size=4)
    monkeypatch.setattr(extractor_training, "Recipe", lambda: tiny)
    assert main(["lab", "train", "resnet18", "--out", str(tmp_path), "--seed", "5"]) == 0
    path = tmp_path / "resnet18-cifar10.safetensors"
    model = extractor.load_resnet18(path)
    assert not model.training
    assert not any(p.requires_grad for p in model.parameters())
    card = json.loads(path.with_suffix(".json").read_text())
    assert card["seed"] == 5
    assert card["recipe"]["stages"] == [[8, 1]]
    hits = int((model(images.x / 255).argmax(1) == images.y).sum())
    assert card["test_accuracy"] == {"hits": hits, "total": 8}
