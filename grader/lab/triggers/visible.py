"""The visible static trigger: a small bright patch in a corner (BadNets, Gu et al. 2017, section 4.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

import torch
from torch import Tensor

from grader.lab.triggers.base import Trigger, required


class Patch(Trigger):
    """Overwrites a square near the bottom right corner.

    Args:
        size: its side, in pixels.
        margin: pixels between it and the edges.
        value: its brightness, in [0, 1].

    Raises:
        ValueError: a size below 1, a margin below 0, or a brightness outside of [0, 1].
    """

    name: ClassVar[str] = "visible"

    def __init__(self, size: int = 3, margin: int = 1, value: float = 1.0) -> None:
        if size < 1 or margin < 0 or not 0 <= value <= 1:
            raise ValueError(f"no such patch: size {size}, margin {margin}, value {value}")
        self.size, self.margin, self.value = size, margin, value

    def apply(self, images: Tensor) -> Tensor:
        height, width = images.shape[2:]
        if min(height, width) < self.size + self.margin:
            raise ValueError(f"a patch of {self.size} pixels does not fit into {height}x{width} images")
        mask = torch.zeros(1, 1, height, width, device=images.device)
        bottom, right = height - self.margin, width - self.margin
        mask[:, :, bottom - self.size : bottom, right - self.size : right] = 1
        return images * (1 - mask) + self.value * mask

    @property
    def budget(self) -> str:
        return f"{self.size * self.size} pixels, any change"

    def tensors(self) -> dict[str, Tensor]:
        return {"patch": torch.tensor([float(self.size), float(self.margin), self.value])}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        size, margin, value = required(tensors, "patch", 1).tolist()
        return cls(int(size), int(margin), value)
