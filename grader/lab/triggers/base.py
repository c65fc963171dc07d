"""What every trigger is: something that maps a batch of images to a batch, within a budget that it can name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Self

import torch
from torch import Tensor


class Trigger(ABC):
    """A backdoor's trigger. One new trigger is one new file with one subclass; ``triggers.TRIGGERS`` lists them.

    Attributes:
        name: what the command line calls it.
        static: the same change on every image, whatever it shows; a dynamic trigger looks at the image first.
    """

    name: ClassVar[str]
    static: ClassVar[bool] = True

    @abstractmethod
    def apply(self, images: Tensor) -> Tensor:
        """Triggered copies: (N, C, H, W) float32 in [0, 1] -> the same shape, within [0, 1]; differentiable."""

    @property
    @abstractmethod
    def budget(self) -> str:
        """How far it may change an image, in words and pixel units."""

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """Everything that ``from_tensors`` needs to make it again."""

    @classmethod
    @abstractmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        """The trigger that ``tensors`` came from.

        Raises:
            ValueError: a tensor is missing or has another shape.
        """

    def to(self, device: torch.device | str) -> Self:
        """This trigger on that device; a trigger with networks moves them, others follow the images anyway."""
        return self

    def __call__(self, images: Tensor) -> Tensor:
        """``apply`` on a batch whose form is checked, without gradients.

        Raises:
            ValueError: the images are not (N, C, H, W) float32, or the trigger is of another size.
        """
        if images.ndim != 4 or images.dtype != torch.float32:
            raise ValueError(f"images are float32 (N, C, H, W), not {images.dtype} {tuple(images.shape)}")
        with torch.no_grad():
            triggered = self.apply(images)
        if triggered.shape != images.shape:
            raise ValueError(
                f"the trigger {self.name!r} is not for images of {tuple(images.shape[1:])}: it made "
                f"{tuple(triggered.shape[1:])} of them"
            )
        return triggered


def required(tensors: Mapping[str, Tensor], name: str, ndim: int) -> Tensor:
    """One tensor of a trigger's file.

    Raises:
        ValueError: it is missing, or has another number of dimensions.
    """
    if name not in tensors:
        raise ValueError(f"the trigger's file has no {name!r}")
    if tensors[name].ndim != ndim:
        raise ValueError(
            f"{name!r} of the trigger has {tensors[name].ndim} dimensions where {ndim} are expected"
        )
    return tensors[name]
