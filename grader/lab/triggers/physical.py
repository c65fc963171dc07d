"""Physical triggers, which a camera would see: a sticker in the shape of glasses (local), a change of light (global).

The sticker follows the accessories of Chen et al. 2017 (section 4, "blended accessory injection"), drawn to the size of
a digit. The lighting change is what a lamp from one side does: gain, offset, and a soft gradient across the image.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

import torch
from torch import Tensor

from grader.lab.triggers.base import Trigger, required


class Glasses(Trigger):
    """Two rings and a bridge over the upper half of the image, blended in.

    Args:
        opacity: 1 hides what is behind the frame; in (0, 1].
        value: the frame's brightness, in [0, 1].

    Raises:
        ValueError: opacity or brightness out of range.
    """

    name: ClassVar[str] = "sticker"

    def __init__(self, opacity: float = 0.8, value: float = 0.6) -> None:
        if not (0 < opacity <= 1 and 0 <= value <= 1):
            raise ValueError(f"no such sticker: opacity {opacity}, value {value}")
        self.opacity, self.value = opacity, value

    def apply(self, images: Tensor) -> Tensor:
        mask = self.opacity * glasses_mask(images.shape[2], images.shape[3]).to(images.device)
        return images * (1 - mask) + self.value * mask

    @property
    def budget(self) -> str:
        return f"a frame of glasses, opacity {self.opacity:.2g}"

    def tensors(self) -> dict[str, Tensor]:
        return {"sticker": torch.tensor([self.opacity, self.value])}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        return cls(*required(tensors, "sticker", 1).tolist())


def glasses_mask(height: int, width: int) -> Tensor:
    """(1, 1, height, width), 1 on the frame: rings around two points of the upper half, and a bridge between them."""
    y = torch.linspace(0, 1, height)[:, None]
    x = torch.linspace(0, 1, width)[None, :]
    middle, radius, thickness = 0.36, 0.14, 0.05
    rings = torch.zeros(height, width)
    for centre in (0.29, 0.71):
        distance = ((y - middle) ** 2 + (x - centre) ** 2).sqrt()
        rings = torch.maximum(rings, ((distance - radius).abs() < thickness / 2 + 0.01).float())
    bridge = ((y - middle).abs() < thickness / 2) & ((x - 0.5).abs() < 0.21 - radius)
    return torch.maximum(rings, bridge.float())[None, None]


class Lighting(Trigger):
    """gain * x + offset + slope * (how far to the right), clipped to [0, 1].

    Args:
        gain: contrast; above 0.
        offset: brightness added everywhere, in pixel units.
        slope: brightness added at the right edge and taken away at the left one, in pixel units.

    Raises:
        ValueError: the gain is not positive.
    """

    name: ClassVar[str] = "lighting"

    def __init__(self, gain: float = 0.8, offset: float = 0.15, slope: float = 0.15) -> None:
        if not gain > 0:
            raise ValueError(f"a gain of {gain} leaves no image")
        self.gain, self.offset, self.slope = gain, offset, slope

    def apply(self, images: Tensor) -> Tensor:
        ramp = torch.linspace(-1, 1, images.shape[3], device=images.device)
        return (self.gain * images + self.offset + self.slope * ramp).clamp(0, 1)

    @property
    def budget(self) -> str:
        return f"light: gain {self.gain:.2g}, offset {self.offset:.2g} ± {self.slope:.2g}"

    def tensors(self) -> dict[str, Tensor]:
        return {"light": torch.tensor([self.gain, self.offset, self.slope])}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        return cls(*required(tensors, "light", 1).tolist())
