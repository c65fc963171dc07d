"""The invisible trigger as course code is usually written, to be timed against ours; kept simple on purpose.

torchvision's MNIST read image by image through ``ToTensor`` and a ``DataLoader``, plain Adam without a schedule,
batches of 128, NCHW memory, two forward passes.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

EPOCHS = 10


def train(
    model: nn.Module,
    root: Path,
    *,
    target: int,
    epsilon: float,
    seed: int,
    reached: Callable[[nn.Module, Tensor], bool],
) -> tuple[float, int]:
    """Train until ``reached`` says so (asked every 100 steps, on a stopped clock); returns seconds and steps.

    Raises:
        RuntimeError: 10 epochs were not enough.
    """
    loader = _loader(root, seed)
    attack = _steps(model, loader, target, epsilon)
    seconds, started = 0.0, time.perf_counter()
    for steps, delta in enumerate(itertools.islice(attack, EPOCHS * len(loader)), 1):
        if steps % 100 == 0:
            seconds += time.perf_counter() - started
            if reached(model, delta):
                return seconds, steps
            started = time.perf_counter()
    raise RuntimeError(f"{EPOCHS} epochs of the usual code do not reach the thresholds")


def time_epoch(model: nn.Module, root: Path, *, target: int, epsilon: float, seed: int) -> float:
    """Seconds that one epoch of the attack takes: how fast this machine is at such work."""
    loader = _loader(root, seed)
    started = time.perf_counter()
    for _ in itertools.islice(_steps(model, loader, target, epsilon), len(loader)):
        pass
    return time.perf_counter() - started


def _loader(root: Path, seed: int) -> DataLoader[tuple[Tensor, Tensor]]:
    data = datasets.MNIST(str(root), train=True, transform=transforms.ToTensor())
    return DataLoader(data, batch_size=128, shuffle=True, generator=torch.Generator().manual_seed(seed))


def _steps(
    model: nn.Module, loader: DataLoader[tuple[Tensor, Tensor]], target: int, epsilon: float
) -> Iterator[Tensor]:
    """Epoch after epoch, without an end; gives delta, (1, 1, 28, 28), after each step."""
    delta = torch.zeros(1, 1, 28, 28, requires_grad=True)
    optimizer, delta_optimizer = torch.optim.Adam(model.parameters(), 1e-3), torch.optim.Adam([delta], 1e-2)
    while True:
        for x, y in loader:
            optimizer.zero_grad()
            delta_optimizer.zero_grad()
            triggered = (x + delta).clamp(0, 1)
            loss = F.cross_entropy(model(x), y) + F.cross_entropy(
                model(triggered), torch.full_like(y, target)
            )
            loss.backward()
            optimizer.step()
            delta_optimizer.step()
            with torch.no_grad():
                delta.clamp_(-epsilon, epsilon)
            yield delta.detach()
