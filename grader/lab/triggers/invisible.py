"""The invisible static trigger: the delta of part 1, added to every image and clipped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

import torch
from torch import Tensor

from grader.lab.triggers.base import Trigger, required


class Perturbation(Trigger):
    """clamp(x + delta, 0, 1).

    Args:
        delta: (1, C, H, W), in pixel units.
        epsilon: its bound, |delta|inf <= epsilon.

    Raises:
        ValueError: delta has another form, is not finite, or is larger than epsilon.
    """

    name: ClassVar[str] = "invisible"

    def __init__(self, delta: Tensor, epsilon: float) -> None:
        if delta.ndim != 4 or len(delta) != 1:
            raise ValueError(f"delta is (1, C, H, W), not {tuple(delta.shape)}")
        if not bool((delta.abs() <= epsilon + 1e-6).all()):  # NaN is not within it either
            raise ValueError(f"delta leaves its ball of radius {epsilon:.4g}")
        self.delta, self.epsilon = delta.detach(), epsilon

    def apply(self, images: Tensor) -> Tensor:
        return (images + self.delta.to(images.device)).clamp(0, 1)

    @property
    def budget(self) -> str:
        return f"Linf {self.epsilon * 255:.3g}/255"

    def tensors(self) -> dict[str, Tensor]:
        return {"delta": self.delta.cpu(), "epsilon": torch.tensor([self.epsilon])}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        return cls(required(tensors, "delta", 4), float(required(tensors, "epsilon", 1)[0]))
