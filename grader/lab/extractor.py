"""The trained ResNet-18 of the project, and the model card that stands beside every file of trained weights.

``grader/data/resnet18-cifar10.safetensors`` holds float16 weights, made by ``python -m grader lab train resnet18``;
``resnet18-cifar10.json`` says how they were made, what they reach, and their checksum.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from grader.lab.data import DATA_DIR, DataError, load_weights
from grader.lab.models import ResNet18

RESNET18 = DATA_DIR / "resnet18-cifar10.safetensors"
_REMEDY = "restore both files (git checkout) or train the model again: python -m grader lab train resnet18"


def load_resnet18(path: Path = RESNET18) -> ResNet18:
    """The ResNet-18 trained on CIFAR-10, frozen: float32, in eval mode, no parameter requires a gradient.

    Raises:
        DataError: the weights or their card are missing, or the weights are not those that the card describes.
    """
    model = ResNet18()
    check_weights(path)
    load_weights(path, model)
    return freeze(model)


def freeze(model: ResNet18) -> ResNet18:
    """Put the model into eval mode for good and take its parameters out of every gradient, in place."""
    return model.eval().requires_grad_(False)


def check_weights(path: Path) -> Mapping[str, Any]:
    """The model card of a weights file, after the file's checksum proved right.

    Raises:
        DataError: either file is missing or cannot be read, or the weights were changed since.
    """
    card_path = path.with_suffix(".json")
    try:
        card: Mapping[str, Any] = json.loads(card_path.read_text(encoding="utf-8"))
        expected = str(card["sha256"])
        found = sha256_of(path)
    except FileNotFoundError as error:
        raise DataError(f"{error.filename}: missing; {_REMEDY}") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{card_path}: cannot be read as a model card ({error}); {_REMEDY}") from error
    if found != expected:
        raise DataError(f"{path}: damaged: its SHA-256 is {found}, not {expected}; {_REMEDY}")
    return card


def card_text(weights: Path, model: nn.Module, about: Mapping[str, Any]) -> str:
    """The model card of weights that were just written, as JSON.

    Args:
        about: what a reader wants to know: data, recipe, seed, accuracy, machine.
    """
    size = sum(p.numel() for p in model.parameters())
    own = {"model": type(model).__name__, "parameters": size, "sha256": sha256_of(weights)}
    return json.dumps({**own, **about}, indent=1) + "\n"


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
