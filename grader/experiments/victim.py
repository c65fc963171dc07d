"""The victim of the clean-label attack: a trained ResNet-18, its data, and the features of both data sets."""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from grader.experiments.common import StepProgress, device_of, steps

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from grader.lab.data import Images
    from grader.lab.models import ResNet18

CHUNK = 5_000
"""Images whose features make one file."""


@dataclass(frozen=True)
class Victim:
    """A frozen network and what it sees.

    Attributes:
        model: on ``device``; weights: its file's SHA-256.
        train, test: grey levels, on the CPU; train_features, test_features: float32 (N, D).
    """

    model: ResNet18
    weights: str
    train: Images
    test: Images
    train_features: Tensor
    test_features: Tensor
    device: torch.device

    @property
    def predictions(self) -> Tensor:
        """Of the network as it was trained, on the test set, (N,)."""
        import torch

        with torch.inference_mode():
            return self.model.classify(self.test_features.to(self.device)).argmax(1).cpu()


def load_victim(options: argparse.Namespace) -> Victim:
    """The project's ResNet-18, or the one that ``--weights`` names, with CIFAR-10.

    Raises:
        DataError: weights or data are missing or damaged, or ``--pool`` asks for more than there are.
        ExperimentProblem: there is no such device.
    """
    from grader.lab.clean_label import fine_tuning_sample
    from grader.lab.data import download_cifar10, load_cifar10
    from grader.lab.extractor import RESNET18, check_weights, load_resnet18

    device = device_of(options)
    path: Path = options.weights or RESNET18
    weights = str(check_weights(path)["sha256"])
    model = load_resnet18(path).to(device)
    if options.download:
        download_cifar10(options.data_dir)
    test = load_cifar10("test", options.data_dir, grey_levels=True)
    train = load_cifar10("train", options.data_dir, grey_levels=True)
    if options.pool is not None:
        train = train.subset(fine_tuning_sample(train.y, options.pool, options.seed))
    found = []
    for name, images in (("test", test), ("train", train)):
        with steps(f"features of {name}") as progress:
            found.append(cached_features(model, weights, images.x, device, progress))
    test_features, train_features = found
    return Victim(model, weights, train, test, train_features, test_features, device)


def cached_features(
    model: ResNet18, weights: str, x: Tensor, device: torch.device, progress: StepProgress
) -> Tensor:
    """The features of many images, (N, D), computed once and kept in the cache directory.

    Args:
        weights: the SHA-256 of the model's weights: with the pixels it names the files.
        x: grey levels (N, C, H, W).
    """
    import torch

    parts = []
    for i, part in enumerate(x.split(CHUNK)):
        parts.append(_cached_part(model, weights, part, device))
        progress(min(len(x), (i + 1) * CHUNK), len(x), float("nan"))
    return torch.cat(parts)


def _cached_part(model: ResNet18, weights: str, x: Tensor, device: torch.device) -> Tensor:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from grader.lab.data import cache_dir, save_tensors
    from grader.lab.last_layer import extract

    key = hashlib.sha256(weights.encode() + x.numpy().tobytes()).hexdigest()[:16]
    path = cache_dir() / "features" / f"{key}.safetensors"
    try:
        found: Tensor = load_file(path)["features"]
        if found.shape[0] == len(x):
            return found
    except (OSError, SafetensorError, KeyError):
        pass  # not there, or damaged: it is only a cache
    found = extract(model, x.to(device)).cpu()
    save_tensors(path, {"features": found})
    return found
