"""The side by side with ART, on a few images: that it runs, and that both sides answer in the same form."""

from __future__ import annotations

import re

import pytest
import torch

from grader.lab.data import load_mnist
from grader.lab.training import CleanSettings, clean_start
from grader.lab.triggers.poisoning import poison
from grader.lab.triggers.visible import Patch
from tests.bench import defences

pytest.importorskip("art", reason="the extra `bench` is not installed")


def test_every_alternative_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(defences, "INPUTS", 120)
    images = load_mnist("test", grey_levels=True).subset(slice(0, 1000))
    model = clean_start(CleanSettings(), 1, images).eval()
    poisoned = poison(images, Patch(), 7, torch.Generator().manual_seed(1))
    for name, run in defences._clusterings(model, poisoned).items():
        assert re.fullmatch(r"precision [\d.]+, recall [\d.]+, F1 [\d.]+|does not run: .+", run()), name
    for name, run in list(defences._strips(model, images, images).items())[:2]:  # the others take long
        assert re.fullmatch(r"FRR [\d.]+%, FAR [\d.]+%|does not run: .+", run()), name
