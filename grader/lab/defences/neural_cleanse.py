"""Neural Cleanse (Wang et al. 2019): for which class is there a suspiciously small trigger?

For every class, mask and pattern are sought with which all images become that class and the mask is small (eq. 3):

    min over m, p of  CE(f((1 - m) x + m p), class) + cost * |m|1

A class whose mask is an outlier on the small side is taken for the target (section 4.2). With ten classes that is a
rough judgement; how often clean models are accused is measured beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grader.lab.adam import Adam
from grader.lab.data import Images, batches
from grader.lab.models import LeNet5

THRESHOLD = 2.0
"""Anomaly index above which a class is flagged (section 4.2): 95 % of a normal distribution."""


@dataclass(frozen=True)
class Settings:
    """Of the search; cost and its changes as in the published code.

    Attributes:
        rounds: at most so many; after each, the cost may change.
        steps: batches a round.
        batch_size: images a step; each of them is tried with every class's trigger.
        success: share of images that must become the class.
        patience: rounds of success (of failure) in a row before the cost goes up (down).
    """

    rounds: int = 120
    steps: int = 4
    batch_size: int = 48
    learning_rate: float = 0.1
    first_cost: float = 1e-3
    cost_up: float = 2.0
    cost_down: float = 2.0**1.5
    success: float = 0.99
    patience: int = 5


@dataclass(frozen=True)
class Reversed:
    """The triggers found, one a class.

    Attributes:
        masks, patterns: (K, 1, H, W) in [0, 1].
        norms: (K,) L1 of the masks, in pixels; infinite where no trigger was found.
        indices: (K,) anomaly indices; flagged: the classes taken for targets.
    """

    masks: Tensor
    patterns: Tensor
    norms: np.ndarray
    indices: np.ndarray
    flagged: tuple[int, ...]

    def rank(self, label: int) -> int:
        """1 for the class of the smallest mask, and so on."""
        return 1 + int((self.norms < self.norms[label]).sum())


def neural_cleanse(
    model: nn.Module,
    images: Images,
    generator: torch.Generator,
    *,
    classes: int = 10,
    settings: Settings | None = None,
    progress: Callable[[int, int, float], None] | None = None,
) -> Reversed:
    """Search all classes' triggers at once (their losses have nothing in common, so it is the same search).

    Args:
        images: clean ones, of all classes.
    """
    settings = settings or Settings()
    search = _Search(model.eval(), images, generator, classes, settings)
    for done in range(1, settings.rounds + 1):
        loss = search.round()
        if progress is not None:
            progress(done, settings.rounds, loss)
    norms = search.best_norms
    index = anomaly_index(norms)
    flagged = tuple(int(k) for k in np.flatnonzero((index > THRESHOLD) & (norms < np.median(norms))))
    return Reversed(search.best_masks, search.best_patterns, norms, index, flagged)


class _Search:
    """Masks and patterns under search, each class with its own cost; keeps the smallest successful mask."""

    def __init__(
        self, model: nn.Module, images: Images, generator: torch.Generator, classes: int, settings: Settings
    ) -> None:
        self._model, self._images, self._generator, self._settings = model, images, generator, settings
        shape = (classes, *images.x.shape[1:])
        device = images.x.device
        self._mask, self._pattern = (
            (2 * torch.rand(shape, generator=generator) - 1).to(device).requires_grad_() for _ in range(2)
        )
        self._optimizer = Adam([self._mask, self._pattern], settings.learning_rate, (0.5, 0.9))
        self._cost = torch.full((classes,), settings.first_cost, device=device)
        self._won = torch.zeros(classes, dtype=torch.int64, device=device)
        self._lost = torch.zeros(classes, dtype=torch.int64, device=device)
        self.best_norms = np.full(classes, np.inf)
        self.best_masks, self.best_patterns = torch.zeros(shape), torch.zeros(shape)

    def round(self) -> float:
        """A few steps, then the costs; returns the mean loss of the last step."""
        settings, classes = self._settings, len(self._cost)
        hits = torch.zeros(classes, device=self._cost.device)
        loss = torch.zeros(())
        for x, _ in batches(self._images, settings.batch_size, self._generator, settings.steps):
            mask, pattern = torch.sigmoid(2 * self._mask), torch.sigmoid(2 * self._pattern)  # (tanh + 1) / 2
            triggered = (1 - mask[:, None]) * x[None] + (mask * pattern)[:, None]  # (K, B, 1, H, W)
            wanted = torch.arange(classes, device=x.device).repeat_interleave(len(x))
            logits = self._model(triggered.flatten(0, 1))
            entropy = F.cross_entropy(logits, wanted, reduction="none").view(classes, -1).mean(1)
            norms = mask.flatten(1).sum(1)
            loss = (entropy + self._cost * norms).sum()
            self._mask.grad, self._pattern.grad = torch.autograd.grad(loss, [self._mask, self._pattern])
            self._optimizer.step()
            hits += (logits.argmax(1) == wanted).view(classes, -1).float().mean(1) / settings.steps
        self._keep_best(hits, mask.detach(), pattern.detach())
        self._change_costs(hits >= settings.success)
        return loss.item() / classes

    def _keep_best(self, hits: Tensor, masks: Tensor, patterns: Tensor) -> None:
        norms = masks.flatten(1).sum(1).cpu().numpy()
        for k in range(len(norms)):
            if float(hits[k]) >= self._settings.success and norms[k] < self.best_norms[k]:
                self.best_norms[k] = norms[k]
                self.best_masks[k], self.best_patterns[k] = masks[k].cpu(), patterns[k].cpu()

    def _change_costs(self, success: Tensor) -> None:
        self._won = torch.where(success, self._won + 1, 0)
        self._lost = torch.where(success, 0, self._lost + 1)
        up, down = self._won >= self._settings.patience, self._lost >= self._settings.patience
        self._cost = torch.where(up, self._cost * self._settings.cost_up, self._cost)
        self._cost = torch.where(down, self._cost / self._settings.cost_down, self._cost)
        self._won = torch.where(up, 0, self._won)
        self._lost = torch.where(down, 0, self._lost)


def anomaly_index(norms: np.ndarray) -> np.ndarray:
    """|norm - median| over 1.4826 median absolute deviations (section 4.2), (K,) -> (K,); 0 without any trigger."""
    found = norms[np.isfinite(norms)]
    if len(found) == 0:
        return np.zeros(len(norms))
    finite = np.where(
        np.isfinite(norms), norms, found.max()
    )  # a class without a trigger is on the large side
    median = np.median(finite)
    deviation = 1.4826 * np.median(np.abs(finite - median))
    return np.abs(finite - median) / max(float(deviation), 1e-12)


def unlearn(
    model: LeNet5, found: Reversed, clean: Images, generator: torch.Generator, *, steps: int = 200
) -> None:
    """Fine-tune in place on images of which a fifth carry the reversed trigger *and their true label* (section 6.2).

    Does nothing where no class was flagged.
    """
    if not found.flagged:
        return
    optimizer = Adam(model.parameters(), 1e-3)
    masks, patterns = (t[list(found.flagged)].to(clean.x.device) for t in (found.masks, found.patterns))
    for step, (x, y) in enumerate(batches(clean, 128, generator, steps)):
        k = step % len(found.flagged)
        fifth = len(x) // 5
        x[:fifth] = (1 - masks[k]) * x[:fifth] + masks[k] * patterns[k]
        model.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
