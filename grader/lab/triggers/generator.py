"""The network that makes a dynamic trigger: one small encoder-decoder, for patterns, masks and perturbations alike."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Generator(nn.Module):
    """(N, 1, 28, 28) in [0, 1] -> (N, 1, 28, 28), unbounded: the caller squashes it.

    About 21,000 weights. The published ones (Nguyen & Tran 2020, table 6; Doan et al. 2021) have up to a million, for
    GPUs; on 28x28 digits this one is enough, and a CPU trains it in minutes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.down1 = nn.Conv2d(1, 16, 3, stride=2, padding=1)
        self.down2 = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.middle = nn.Conv2d(32, 32, 3, padding=1)
        self.up1 = nn.Conv2d(32, 16, 3, padding=1)
        self.up2 = nn.Conv2d(16, 1, 3, padding=1)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        x = (x - 0.5) * 2
        x = F.relu(self.down1(x))  # (N, 16, 14, 14)
        x = F.relu(self.down2(x))  # (N, 32, 7, 7)
        x = F.relu(self.middle(x))
        x = F.relu(self.up1(F.interpolate(x, scale_factor=2)))  # (N, 16, 14, 14)
        return self.up2(F.interpolate(x, scale_factor=2))


def prefixed(prefix: str, module: nn.Module) -> dict[str, Tensor]:
    """The module's weights under names that begin with ``prefix.``, to be kept beside others."""
    return {f"{prefix}.{name}": value for name, value in module.state_dict().items()}


def restored(prefix: str, tensors: Mapping[str, Tensor]) -> Generator:
    """The generator whose weights ``prefixed`` wrote.

    Raises:
        ValueError: the weights are not those of a generator.
    """
    generator = Generator()
    weights = {
        name.removeprefix(f"{prefix}."): value for name, value in tensors.items() if name.startswith(prefix)
    }
    try:
        generator.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"the {prefix} network's weights do not fit: {error}") from error
    return generator.eval()
