"""The training loops: a clean LeNet-5, and the joint training of a backdoored model and its invisible trigger.

    min over theta, delta of  CE(f_theta(x), y) + CE(f_theta(clamp(x + delta, 0, 1)), target),  |delta|inf <= epsilon

Both start from an explicit seed or generator, and the same seed gives the same result on the same machine.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grader.lab import models
from grader.lab.data import DATA_DIR, DataError, Images, batches, load_weights, save_weights
from grader.lab.metrics import accuracy, attack_success_rate, predict
from grader.lab.models import LeNet5, initialise

CACHE_VARIABLE = "BACKDOOR_LAB_CACHE"

Progress = Callable[[int, int, float], None]  # (steps done, steps in all, loss)


@dataclass(frozen=True)
class CleanSettings:
    """How the clean start is trained: Adam with a one-cycle learning rate.

    Attributes:
        epochs: passes through the training set.
        batch_size: images a step.
        learning_rate: the peak of the one-cycle schedule.
    """

    epochs: int = 3
    batch_size: int = 128
    learning_rate: float = 4e-3


@dataclass(frozen=True)
class AttackSettings:
    """How the backdoor is trained.

    Attributes:
        steps: batches in all.
        batch_size: images a step; each is used twice, clean and triggered.
        model_learning_rate: Adam's for theta, the peak of the one-cycle schedule.
        delta_learning_rate: Adam's for delta, in pixel units a step, constant.
        warmup: share of the steps in which theta's learning rate rises.
    """

    steps: int = 400
    batch_size: int = 128
    model_learning_rate: float = 4e-3
    delta_learning_rate: float = 1e-2
    warmup: float = 0.3


class Stepper(Protocol):
    """Whatever runs the student's two step functions: this process, or the sandbox's child."""

    @property
    def delta(self) -> Tensor:
        """The trigger as it stands, (1, C, H, W)."""
        ...

    def poison_step(self, model: nn.Module, x: Tensor, y: Tensor) -> float:
        """One forward and backward pass; leaves the gradients in ``p.grad`` of the model. Returns the loss."""
        ...

    def delta_step(self) -> None:
        """One optimiser step on delta and its projection."""
        ...


class LocalStepper:
    """Runs ``poison_step`` and ``delta_step`` of a module in this process, with no isolation at all.

    Args:
        functions: has ``poison_step`` and ``delta_step`` as the assignment describes them.
        shape: of one image, (C, H, W).
    """

    def __init__(
        self,
        functions: ModuleType,
        *,
        shape: tuple[int, int, int],
        target: int,
        epsilon: float,
        learning_rate: float,
        device: torch.device | str = "cpu",
    ) -> None:
        self._functions = functions
        self._target = target
        self._epsilon = epsilon
        self._delta = torch.zeros(1, *shape, device=device, requires_grad=True)
        self._optimizer = torch.optim.Adam([self._delta], lr=learning_rate)

    @property
    def delta(self) -> Tensor:
        return self._delta.detach()

    def poison_step(self, model: nn.Module, x: Tensor, y: Tensor) -> float:
        return self._functions.poison_step(model, self._delta, x, y, self._target)

    def delta_step(self) -> None:
        self._functions.delta_step(self._delta, self._optimizer, self._epsilon)


@dataclass
class History:
    """What happened during a training run.

    Attributes:
        losses: the loss of every step.
        snapshots: ACC and ASR on the held-out images, every so often.
    """

    losses: list[float] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)


@dataclass(frozen=True)
class Snapshot:
    """ACC and ASR, both in [0, 1], on held-out training images after ``step`` steps."""

    step: int
    acc: float
    asr: float


def train_backdoor(
    model: nn.Module,
    stepper: Stepper,
    train: Images,
    settings: AttackSettings,
    generator: torch.Generator,
    *,
    progress: Progress | None = None,
    snapshot: Callable[[nn.Module, Tensor, int], Snapshot] | None = None,
) -> History:
    """Train ``model`` in place and, through ``stepper``, the trigger: both from one loss, step by step.

    Args:
        model: the clean start, in training mode afterwards.
        stepper: runs the student's functions and keeps delta.
        train: the training images; the order of the batches comes from ``generator``.
        progress: called after every step with (steps done, steps in all, loss).
        snapshot: called now and then with (model, delta, steps done), see ``held_out_snapshot``.
    """
    model.train()
    model_optimizer = torch.optim.Adam(model.parameters(), lr=settings.model_learning_rate, fused=True)
    schedule = one_cycle(model_optimizer, steps=settings.steps, warmup=settings.warmup)
    history = History()
    for step, (x, y) in enumerate(batches(train, settings.batch_size, generator, settings.steps), start=1):
        loss = stepper.poison_step(model, x, y)  # gradients of the one loss, in theta and in delta
        model_optimizer.step()
        stepper.delta_step()  # and the projection onto the ball
        schedule.step()
        history.losses.append(loss)
        if progress is not None:
            progress(step, settings.steps, loss)
        if snapshot is not None and step % max(1, settings.steps // 20) == 0:
            history.snapshots.append(snapshot(model, stepper.delta, step))
    return history


def held_out_snapshot(images: Images, target: int) -> Callable[[nn.Module, Tensor, int], Snapshot]:
    """A ``snapshot`` for ``train_backdoor`` that judges on these images. Never give it test images."""

    def snapshot(model: nn.Module, delta: Tensor, step: int) -> Snapshot:
        clean = predict(model, images.x)
        triggered = predict(model, (images.x + delta).clamp(0, 1))
        acc = accuracy(clean, images.y).value
        return Snapshot(step, acc, attack_success_rate(triggered, images.y, target).value)

    return snapshot


def one_cycle(
    optimizer: torch.optim.Optimizer, *, steps: int, warmup: float
) -> torch.optim.lr_scheduler.LRScheduler:
    """The optimiser's learning rate rises linearly from 1/25 of itself in the warm-up, then falls linearly to 0."""
    rise = max(1.0, warmup * steps)

    def factor(step: int) -> float:
        if step < rise:
            return 0.04 + 0.96 * step / rise
        return max(0.0, (steps - step) / (steps - rise))

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def train_clean(
    train: Images, settings: CleanSettings, seed: int, progress: Progress | None = None
) -> LeNet5:
    """A LeNet-5 trained on clean images from scratch: initialisation and order of the batches come from ``seed``."""
    generator = torch.Generator().manual_seed(seed)
    model = LeNet5().to(train.x.device)
    initialise(model, generator)
    steps = settings.epochs * (len(train) // settings.batch_size)
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate, fused=True)
    schedule = one_cycle(optimizer, steps=steps, warmup=0.3)
    for step, (x, y) in enumerate(batches(train, settings.batch_size, generator, steps), start=1):
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if progress is not None:
            progress(step, steps, loss.item())
    return model


def clean_start(
    settings: CleanSettings, seed: int, train: Images, progress: Progress | None = None
) -> LeNet5:
    """The clean LeNet-5 of (settings, seed): committed with the project, from the cache, or trained now and cached.

    Returns:
        the model on the CPU, in training mode.
    """
    name = f"lenet5-{clean_key(settings, seed)}.safetensors"
    model = LeNet5()
    for path in (DATA_DIR / name, cache_dir() / name):
        if path.is_file():
            try:
                load_weights(path, model)
            except DataError:
                if path.parent == DATA_DIR:
                    raise
                continue  # a damaged cache entry is trained again and replaced
            return model
    model = train_clean(train, settings, seed, progress).cpu()
    save_weights(cache_dir() / name, model)
    return model


def clean_key(settings: CleanSettings, seed: int) -> str:
    """Names the result of ``train_clean``: changes with the settings, the seed and the code that matters."""
    parts: Iterator[str] = (inspect.getsource(item) for item in (models, train_clean, one_cycle, batches))
    text = json.dumps({"settings": asdict(settings), "seed": seed, "code": list(parts)}, sort_keys=True)
    return f"seed{seed}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def cache_dir() -> Path:
    """Where trained weights are kept: ``BACKDOOR_LAB_CACHE``, else ``backdoor-lab`` in the user's cache directory."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(base) if base else Path.home() / ".cache") / "backdoor-lab"
