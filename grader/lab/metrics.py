"""What is measured: accuracy, attack success, and how far a triggered image is from its original.

Rates carry their counts. Image distances are of clipped float images in [0, 1]; put both through ``to_8bit`` first to
measure what an image file would hold.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from grader.lab.data import to_float


@dataclass(frozen=True)
class Rate:
    """``hits`` out of ``total``."""

    hits: int
    total: int

    def __post_init__(self) -> None:
        if not 0 <= self.hits <= self.total or self.total == 0:
            raise ValueError(f"not a rate: {self.hits} of {self.total}")

    @property
    def value(self) -> float:
        """In [0, 1]."""
        return self.hits / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % confidence interval of the probability behind the rate (Wilson 1927)."""
        z, n, p = 1.959964, self.total, self.value
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, middle - half), min(1.0, middle + half)

    def __str__(self) -> str:
        return f"{self.value:.2%} ({self.hits:,} of {self.total:,})"


@torch.inference_mode()
def predict(
    model: nn.Module, x: Tensor, batch_size: int = 250, *, trigger: Callable[[Tensor], Tensor] | None = None
) -> Tensor:
    """The most likely class of each image: x (N, C, H, W) -> int64 (N,), in evaluation mode, which is then restored.

    Args:
        x: float32 in [0, 1], or uint8 grey levels.
        trigger: (n, C, H, W) -> (n, C, H, W), float32: put on every image before the model sees it.
    """
    training = model.training
    model.eval()
    try:
        parts = (to_float(part) for part in x.split(batch_size))
        return torch.cat([model(part if trigger is None else trigger(part)).argmax(1) for part in parts])
    finally:
        model.train(training)


def accuracy(predictions: Tensor, y: Tensor) -> Rate:
    """Share of predictions (N,) that are the true class y (N,)."""
    _same_length(predictions, y)
    return Rate(int((predictions == y).sum()), len(y))


def accuracy_drop(before: float, after: float) -> float:
    """How far the ACC fell, both in [0, 1]; rounded to 1e-9, so that 0.99 - 0.98 is not more than 0.01."""
    return round(before - after, 9)


def attack_success_rate(predictions: Tensor, y: Tensor, target: int) -> Rate:
    """Share predicted as ``target`` among the images whose true class is *not* the target (N,), (N,).

    On triggered images that is the ASR; on the same images without trigger, how often the target is called anyway.
    """
    _same_length(predictions, y)
    others = y != target
    return Rate(int((predictions[others] == target).sum()), int(others.sum()))


def to_8bit(x: Tensor) -> Tensor:
    """Clip to [0, 1] and round to the 256 grey levels that an image file can hold; stays float."""
    return (x.clamp(0, 1) * 255).round() / 255


def linf(a: Tensor, b: Tensor) -> Tensor:
    """Largest absolute pixel difference of each pair of images, (N, C, H, W) -> (N,), in pixel units."""
    return (a - b).abs().flatten(1).amax(1)


def l2(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distance of each pair of images, (N, C, H, W) -> (N,), in pixel units."""
    return (a - b).flatten(1).norm(dim=1)


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each pair of images in dB, 10 log10(1 / MSE), (N, C, H, W) -> (N,).

    Equal images have an infinite ratio.
    """
    return -10 * (a - b).square().flatten(1).mean(1).log10()


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity of each pair of images (Wang et al. 2004), (N, C, H, W) -> (N,); equal images have 1.

    scikit-image's, with its default 7x7 window. About 0.3 ms a pair of MNIST images: give it a subset.
    """
    from skimage.metrics import structural_similarity  # slow to import, and only needed here

    pairs = zip(a.detach().cpu().numpy(), b.detach().cpu().numpy(), strict=True)
    return torch.tensor([structural_similarity(p, q, data_range=1.0, channel_axis=0) for p, q in pairs])


def _same_length(predictions: Tensor, y: Tensor) -> None:
    if predictions.shape != y.shape or y.ndim != 1:
        raise ValueError(
            f"predictions {tuple(predictions.shape)} and labels {tuple(y.shape)} must both be (N,)"
        )
