"""The training loops: a clean LeNet-5, and the joint training of a backdoored model and its invisible trigger.

    min over theta, delta of  CE(f_theta(x), y) + CE(f_theta(clamp(x + delta, 0, 1)), target),  |delta|inf <= epsilon

Both start from an explicit seed or generator, and the same seed gives the same result on the same machine.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grader.lab.adam import Adam, CosineSchedule
from grader.lab.data import DATA_DIR, DataError, Images, batches, cache_dir, load_weights, save_weights
from grader.lab.metrics import accuracy, attack_success_rate, predict
from grader.lab.models import LeNet5, initialise

SNAPSHOTS = 20
"""How often a training run looks at ACC and ASR, if it is asked to."""
HELD_OUT = 300
"""Images that it looks at: 20 looks at 300 cost less than a second."""

Progress = Callable[[int, int, float], None]  # (steps done, steps in all, loss)


@dataclass(frozen=True)
class CleanSettings:
    """How the clean start is trained: Adam with a one-cycle learning rate.

    Attributes:
        epochs: passes through the training set.
        batch_size: images a step.
        learning_rate: the peak of the one-cycle schedule.
    """

    epochs: int = 2
    batch_size: int = 128
    learning_rate: float = 6e-3


@dataclass(frozen=True)
class AttackSettings:
    """How the backdoor is trained. The defaults are the fewest steps found that are enough with every seed.

    A clean start first learns to answer "true class or target, even odds" whatever the image is (loss 2 ln 2), and
    leaves that plateau when its first layer begins to see the trigger. What makes the plateau short is a high learning
    rate from the first step on, short memories of Adam (betas) and a delta that reaches the corner of its ball at once.

    Attributes:
        steps: batches in all.
        batch_size: images a step; each is used twice, clean and triggered.
        model_learning_rate: Adam's for theta in the first step; falls to 0 along a cosine.
        model_beta1: Adam's decay of theta's mean gradient.
        model_beta2: Adam's decay of theta's mean squared gradient.
        delta_learning_rate: Adam's for delta, in pixel units a step, constant: two steps reach the ball's edge.
    """

    steps: int = 650
    batch_size: int = 128
    model_learning_rate: float = 8e-3
    model_beta1: float = 0.8
    model_beta2: float = 0.95
    delta_learning_rate: float = 2e-2


Batch = tuple[Tensor, Tensor]  # x (N, C, H, W), y (N,)


class Stepper(Protocol):
    """Whatever runs the student's two step functions: this process, or the sandbox's child."""

    def ahead(self, upcoming: Iterator[Batch]) -> Iterator[Batch]:
        """The same batches, each made while the step before is computed elsewhere, if it is."""
        ...

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


class StepFunctions(Protocol):
    """The two functions of the assignment that a training step calls: a module, or anything that has them."""

    def poison_step(self, model: nn.Module, delta: Tensor, x: Tensor, y: Tensor, target: int, /) -> float: ...

    def delta_step(
        self, delta: Tensor, delta_optimizer: torch.optim.Optimizer, epsilon: float, /
    ) -> None: ...


class LocalStepper:
    """Runs ``poison_step`` and ``delta_step`` in this process, with no isolation at all.

    Args:
        functions: has the two functions, as the assignment describes them.
        shape: of one image, (C, H, W).
        target: the class that triggered images are to get.
        epsilon: radius of delta's Linf ball, in pixel units.
        learning_rate: Adam's for delta.
        device: where delta lies; the model and the images must be there too.
    """

    def __init__(
        self,
        functions: StepFunctions,
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

    def ahead(self, upcoming: Iterator[Batch]) -> Iterator[Batch]:
        return upcoming

    @property
    def delta(self) -> Tensor:
        return self._delta.detach()

    def poison_step(self, model: nn.Module, x: Tensor, y: Tensor) -> float:
        return self._functions.poison_step(model, self._delta, x, y, self._target)

    def delta_step(self) -> None:
        self._functions.delta_step(self._delta, self._optimizer, self._epsilon)


@dataclass(frozen=True)
class Snapshot:
    """ACC and ASR, both in [0, 1], on a few held-out images after ``step`` steps."""

    step: int
    acc: float
    asr: float


@dataclass
class History:
    """What happened during a training run.

    Attributes:
        losses: the loss of every step.
        snapshots: ACC and ASR, about every twentieth of the run, if they were asked for.
    """

    losses: list[float] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)


TakeSnapshot = Callable[[nn.Module, Tensor, int], Snapshot]  # (model, delta, steps done)


def train_backdoor(
    model: nn.Module,
    stepper: Stepper,
    train: Images,
    settings: AttackSettings,
    generator: torch.Generator,
    *,
    progress: Progress | None = None,
    snapshot: TakeSnapshot | None = None,
) -> History:
    """Train ``model`` in place and, through ``stepper``, the trigger: both from one loss, step by step.

    One backward pass gives the gradients of theta and of delta at the same point, so it does not matter which of the
    two optimisers steps first.

    Args:
        model: the clean start; in training mode afterwards.
        stepper: runs the student's functions and keeps delta.
        train: the training images, on the model's device.
        generator: gives the order of the images, and nothing else here is random.
        progress: called after every step with (steps done, steps in all, loss).
        snapshot: see ``held_out_snapshot``.
    """
    model.train()
    betas = (settings.model_beta1, settings.model_beta2)
    model_optimizer = Adam(model.parameters(), settings.model_learning_rate, betas)
    schedule = CosineSchedule(model_optimizer, settings.steps)
    history = History()
    snapshot_steps = {settings.steps * k // SNAPSHOTS for k in range(1, SNAPSHOTS + 1)}

    train_batches = stepper.ahead(batches(train, settings.batch_size, generator, settings.steps))

    for step, (x, y) in enumerate(train_batches, start=1):
        loss = stepper.poison_step(model, x, y)  # leaves the gradients of theta and of delta
        model_optimizer.step()
        stepper.delta_step()  # delta's optimiser and the projection
        schedule.step()

        history.losses.append(loss)
        if progress is not None:
            progress(step, settings.steps, loss)
        if snapshot is not None and step in snapshot_steps:
            history.snapshots.append(snapshot(model, stepper.delta, step))
    return history


def hold_out(train: Images) -> tuple[Images, Images]:
    """(what to train on, the last ``HELD_OUT`` images, for snapshots): a look at the training without test images."""
    return train.subset(slice(None, -HELD_OUT)), train.subset(slice(-HELD_OUT, None))


def held_out_snapshot(held_out: Images, target: int) -> TakeSnapshot:
    """A ``snapshot`` for ``train_backdoor`` that judges on these images. Never give it test images."""

    def take_snapshot(model: nn.Module, delta: Tensor, step: int) -> Snapshot:
        predictions = predict(model, held_out.x)
        triggered_predictions = predict(model, (held_out.x + delta).clamp(0, 1))
        acc = accuracy(predictions, held_out.y)
        asr = attack_success_rate(triggered_predictions, held_out.y, target)
        return Snapshot(step, acc.value, asr.value)

    return take_snapshot


def train_clean(
    train: Images, settings: CleanSettings, seed: int, progress: Progress | None = None
) -> LeNet5:
    """A LeNet-5 trained from scratch on clean images; the seed gives its first weights and the order of the images.

    Returns:
        the model, in training mode, on the images' device.
    """
    generator = torch.Generator().manual_seed(seed)
    model = LeNet5()
    initialise(model, generator)
    model.to(train.x.device)
    steps = settings.epochs * (len(train) // settings.batch_size)
    optimizer = torch.optim.Adam(model.parameters(), foreach=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=settings.learning_rate, total_steps=steps, cycle_momentum=False
    )
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
    settings: CleanSettings,
    seed: int,
    train: Images,
    progress: Progress | None = None,
    *,
    split_seed: int = 0,
) -> LeNet5:
    """The clean LeNet-5 of these settings and this seed: committed with the project, cached, or trained now and cached.

    Args:
        train: the images to train on; its first dimension and pixels are not part of the key, so give the whole set.
        split_seed: of ``split_mnist``, which made ``train``.

    Returns:
        the model on the CPU, in training mode.

    Raises:
        DataError: the committed file is damaged (a damaged cached one is trained again).
    """
    name = clean_file_name(settings, seed, split_seed)
    return kept_model(name, lambda: train_clean(train, settings, seed, progress))


def kept_model(name: str, train: Callable[[], LeNet5]) -> LeNet5:
    """The model of that file name: committed with the project, cached, or trained now and cached.

    Args:
        name: must change with everything that decides the weights.

    Returns:
        the model on the CPU, in training mode.

    Raises:
        DataError: the committed file is damaged (a damaged cached one is trained again).
    """
    model = LeNet5()
    committed, cached = (directory / name for directory in (DATA_DIR, cache_dir() / "models"))
    if committed.exists():
        load_weights(committed, model)
        return model
    if cached.exists():
        try:
            load_weights(cached, model)
            return model
        except DataError as error:
            warnings.warn(f"{error}; training it again", stacklevel=3)
    model = train().cpu().train()
    try:
        # a hidden spec's seed is in the name, and its victims say what its target is: for nobody else on the machine
        cached.parent.mkdir(parents=True, exist_ok=True)
        cached.parent.chmod(0o700)
        save_weights(cached, model)
    except OSError as error:
        warnings.warn(f"{name} could not be cached in {cached.parent} ({error})", stacklevel=3)
    return model


def clean_file_name(settings: CleanSettings, seed: int, split_seed: int = 0) -> str:
    """The file of a clean start; its name changes with the settings, the seeds and the code that trains it."""
    code = [inspect.getsource(item) for item in (LeNet5, initialise, batches, train_clean)]
    split = {"split_seed": split_seed} if split_seed else {}
    key = json.dumps({"settings": asdict(settings), "seed": seed, "code": code, **split}, sort_keys=True)
    return f"lenet5-clean-seed{seed}-{hashlib.sha256(key.encode()).hexdigest()[:12]}.safetensors"
