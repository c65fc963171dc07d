"""What the repairing defences have in common: a small clean set, and fine-tuning on it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from grader.lab.adam import Adam, CosineSchedule
from grader.lab.data import Images, batches

CLEAN_IMAGES = 3000
"""Clean images that a defender is taken to have: one in twenty of the training set."""


def clean_set(train: Images, seed: int, *, count: int = CLEAN_IMAGES) -> Images:
    """The defender's own clean images: ``count`` of the training set, at random.

    Raises:
        ValueError: the training set is smaller.
    """
    if count > len(train):
        raise ValueError(f"{count} clean images asked for, of {len(train)}")
    chosen = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))[:count]
    return train.subset(chosen)


def fine_tune(
    model: nn.Module,
    images: Images,
    generator: torch.Generator,
    *,
    steps: int = 200,
    learning_rate: float = 1e-3,
    batch_size: int = 128,
) -> None:
    """Train ``model`` in place on these images and labels: Adam, the rate falling to 0. Ends in eval mode."""
    model.train()
    optimizer = Adam(model.parameters(), learning_rate)
    schedule = CosineSchedule(optimizer, steps)
    for x, y in batches(images, batch_size, generator, steps):
        model.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        schedule.step()
    model.eval()
