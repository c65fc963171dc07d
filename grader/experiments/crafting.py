"""Poisons, crafted by a submission's functions in the sandbox and kept as the grey levels that an image file holds.

They are made in blocks of some targets and some ranks (rank 0 is the poison of the nearest base), low ranks first, and
each block is written when it is done: a run that was stopped goes on there, and the first poisons are part of many.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from grader.experiments.common import ExperimentProblem, StepProgress

if TYPE_CHECKING:
    from torch import Tensor

    from grader.experiments.victim import Victim
    from grader.lab.clean_label import Targets

BLOCK = 100
"""Images that one call crafts: two gigabytes for ResNet-18's activations."""
RANKS = (0, 5, 10, 25)
"""Where blocks of ranks begin and end; further ones are added as they are asked for."""


class Algorithm(Protocol):
    """What a submission's ``clean_label.py`` does, with the network that it runs on already in its hands."""

    def choose_bases(self, candidate_features: Tensor, target_features: Tensor, count: int) -> Tensor:
        """(M, D), (T, D) -> int64 (T, count)."""
        ...

    def craft_poisons(
        self, bases: Tensor, target_features: Tensor, step_size: float, beta: float, iterations: int,
        epsilon: float | None,
    ) -> Tensor:  # fmt: skip
        """(N, C, H, W), (N, D) -> (N, C, H, W)."""
        ...


@dataclass(frozen=True)
class CraftSettings:
    """How poisons are made.

    Attributes:
        step_size, beta, iterations, epsilon: as the assignment describes them; epsilon None means that beta alone
            keeps a poison near its base.
        watermark: how strongly the target is laid over each base first; 0 is not at all.
    """

    epsilon: float | None = 8 / 255
    beta: float = 0.25
    step_size: float = 0.002
    iterations: int = 40
    watermark: float = 0.0

    @property
    def budget(self) -> str:
        """``8/255``, or ``beta``."""
        return "beta" if self.epsilon is None else f"{self.epsilon * 255:.3g}/255"

    @property
    def folder(self) -> str:
        """Where poisons of this budget are kept: the experiments share them."""
        kind = "poisons" if self.iterations else "watermark"
        return f"{kind}-{self.budget.replace('/', '-')}"


@dataclass(frozen=True)
class Crafted:
    """The poisons of T targets.

    Attributes:
        bases: positions in the training set, int64 (T, P), the nearest first.
        poisons: uint8 (T, P, C, H, W); features: theirs, float32 (T, P, D).
        seconds: how long crafting took in all.
    """

    bases: Tensor
    poisons: Tensor
    features: Tensor
    seconds: float

    def first(self, count: int) -> Crafted:
        """The first poisons of every target."""
        return Crafted(self.bases[:, :count], self.poisons[:, :count], self.features[:, :count], self.seconds)


def choose_bases(algorithm: Algorithm, victim: Victim, targets: Targets, count: int) -> Tensor:
    """The bases of each target, positions in the training set, int64 (T, count).

    Raises:
        DataError: a class has fewer images.
        ExperimentProblem: the submission chose something else than different images of the class.
    """
    import torch

    from grader.lab.clean_label import check_bases

    check_bases(count, victim.train.y)
    wanted = victim.test_features[targets.index]
    bases = torch.empty(len(targets), count, dtype=torch.int64)
    for label in targets.base_class.unique().tolist():
        own = (victim.train.y == label).nonzero()[:, 0]
        which = targets.base_class == label
        chosen = algorithm.choose_bases(victim.train_features[own], wanted[which], count)
        if not bool(((chosen >= 0) & (chosen < len(own))).all()) or any(
            len(row.unique()) < count for row in chosen
        ):
            raise ExperimentProblem("choose_bases chose an image twice, or one that there is not")
        bases[which] = own[chosen]
    return bases


def craft(
    algorithm: Algorithm,
    victim: Victim,
    targets: Targets,
    count: int,
    settings: CraftSettings,
    folder: Path,
    progress: StepProgress,
) -> Crafted:
    """``count`` poisons for each target, made now or read from ``folder``.

    Raises:
        ExperimentProblem: the folder holds poisons that were made otherwise, or the submission failed.
        DataError: a file there is damaged, or there are too few bases.
    """
    import torch

    bases = choose_bases(algorithm, victim, targets, count)
    shape = (len(targets), count)
    poisons = torch.empty(*shape, *targets.x.shape[1:], dtype=torch.uint8)
    features = torch.empty(*shape, victim.test_features.shape[1])
    done, seconds = 0, 0.0
    for which, ranks in _blocks(len(targets), count):
        own = targets.of(which)
        name = f"ranks-{ranks.start:02}-{ranks.stop:02}-targets-{int(which[0]):03}-{int(which[-1]):03}"
        block = _block(algorithm, victim, own, bases[which, ranks], settings, folder / f"{name}.safetensors")
        poisons[which, ranks], features[which, ranks] = block.poisons, block.features
        done += block.bases.numel()
        seconds += block.seconds
        progress(done, poisons.shape[0] * count, float("nan"))
    return Crafted(bases, poisons, features, seconds)


def _blocks(targets: int, count: int) -> Iterator[tuple[Tensor, slice]]:
    """Targets and ranks of each block, low ranks first."""
    import torch

    edges = [edge for edge in RANKS if edge < count] + [count]
    for start, stop in itertools.pairwise(edges):
        for which in torch.arange(targets).split(max(1, BLOCK // (stop - start))):
            yield which, slice(start, stop)


def block_end(count: int, most: int) -> int:
    """How many poisons to craft where ``count`` are wanted now and ``most`` later: whole blocks."""
    return min(most, *(edge for edge in (*RANKS, most) if edge >= count))


def _block(
    algorithm: Algorithm, victim: Victim, targets: Targets, bases: Tensor, settings: CraftSettings, path: Path
) -> Crafted:
    import torch

    from grader.lab.clean_label import as_file_holds_it, watermarked
    from grader.lab.data import save_tensors, to_float
    from grader.lab.last_layer import extract

    about = _about(victim, targets, bases, settings)
    if path.exists():
        return _read(path, about, bases)
    each = bases.shape[1]
    x = to_float(victim.train.x[bases.flatten()])
    started = time.perf_counter()
    if settings.watermark:
        over = targets.x.repeat_interleave(each, 0)
        x = watermarked(x, over, settings.watermark, settings.epsilon)
    if settings.iterations:
        aims = victim.test_features[targets.index].repeat_interleave(each, 0)
        x = algorithm.craft_poisons(
            x, aims, settings.step_size, settings.beta, settings.iterations, settings.epsilon
        )
    kept = as_file_holds_it(x)
    seconds = time.perf_counter() - started
    features = extract(victim.model, kept.to(victim.device)).cpu()
    found = Crafted(bases, kept.view(*bases.shape, *kept.shape[1:]), features.view(*bases.shape, -1), seconds)
    tensors = {"poisons": found.poisons, "features": found.features, "seconds": torch.tensor(seconds)}
    save_tensors(path, tensors, {"about": about})
    return found


def _about(victim: Victim, targets: Targets, bases: Tensor, settings: CraftSettings) -> str:
    """What these poisons are made of and how."""
    images: Sequence[Tensor] = (targets.x, victim.train.x[bases.flatten()])
    pixels = hashlib.sha256(b"".join(x.numpy().tobytes() for x in images)).hexdigest()
    return json.dumps({"settings": asdict(settings), "weights": victim.weights, "pixels": pixels})


def _read(path: Path, about: str, bases: Tensor) -> Crafted:
    from safetensors import SafetensorError, safe_open

    from grader.lab.data import DataError

    try:
        with safe_open(path, framework="pt") as file:
            found = (file.metadata() or {}).get("about")
            poisons, features, seconds = (file.get_tensor(n) for n in ("poisons", "features", "seconds"))
    except (OSError, SafetensorError) as error:
        raise DataError(
            f"{path}: cannot be read ({error}); remove it and these poisons are made again"
        ) from error
    if found != about:
        raise ExperimentProblem(
            f"{path.parent} holds poisons of other targets, bases or settings; name another --out or remove it"
        )
    return Crafted(bases, poisons, features, float(seconds))
