"""Fine-Pruning (Liu et al. 2018): remove neurons of the penultimate layer, then fine-tune on a few clean images.

Which neurons, and how the network gets really smaller, is the exercise; here is the experiment around it. Two rules
are compared: the paper's (prune what is dormant on clean images, section 3.1) and the lecture's (prune the largest
weights).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from grader.lab.data import Images, to_float
from grader.lab.defences.repair import fine_tune
from grader.lab.metrics import Rate, accuracy, attack_success_rate, predict
from grader.lab.models import LeNet5
from grader.lab.triggers.backdoor import Backdoor, put_on

RULES = ("largest-weight", "dormant")
SHARES = (0.0, 0.4, 0.7, 0.85, 0.93)
TUNE_RATE = 4e-3
"""Of fine-tuning: high, so that it forgets more; ACC loses nothing by it."""


class Algorithm(Protocol):
    """The exercise's two functions; see the assignment's ``fine_pruning.py``."""

    def rank_neurons(self, incoming: Tensor, activations: Tensor, rule: str) -> Tensor: ...

    def prune_and_compress(
        self, w_in: Tensor, b_in: Tensor, w_out: Tensor, neurons: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]: ...


@dataclass(frozen=True)
class Point:
    """One point of the curve: ``share`` of the neurons pruned by ``rule``; rates before and after fine-tuning."""

    rule: str
    share: float
    neurons_left: int
    acc: Rate
    asr: Rate
    tuned_acc: Rate
    tuned_asr: Rate


def curve(
    backdoor: Backdoor,
    clean: Images,
    test: Images,
    algorithm: Algorithm,
    seed: int,
    *,
    shares: Sequence[float] = SHARES,
    tune_steps: int = 200,
    progress: Callable[[int, int, float], None] | None = None,
) -> list[Point]:
    """ACC and ASR against the share pruned, for both rules.

    Args:
        clean: the defender's clean images, for the activations and for fine-tuning.

    Raises:
        ValueError: a share leaves no neuron, or what the algorithm returned does not fit.
    """
    model, target = backdoor.model, backdoor.target
    triggered = put_on(backdoor.trigger, test)
    size = model.fc2.out_features
    found: list[Point] = []
    tuned: dict[
        tuple[int, ...], tuple[Rate, Rate]
    ] = {}  # the same neurons are not tuned twice: share 0, as a rule
    for rule in RULES:
        order = algorithm.rank_neurons(model.fc2.weight.detach(), activations(model, clean.x), rule)
        for share in shares:
            smaller = prune(model, order, share, algorithm)
            acc, asr = _rates(smaller, test, triggered, target)
            gone = tuple(sorted(order[: round(share * size)].tolist()))
            if gone not in tuned:
                generator = torch.Generator().manual_seed(seed)
                fine_tune(smaller, clean, generator, steps=tune_steps, learning_rate=TUNE_RATE)
                tuned[gone] = _rates(smaller, test, triggered, target)
            found.append(Point(rule, share, size - len(gone), acc, asr, *tuned[gone]))
            if progress is not None:
                progress(len(found), len(RULES) * len(shares), asr.value)
    return found


def _rates(model: LeNet5, test: Images, triggered: Tensor, target: int) -> tuple[Rate, Rate]:
    acc = accuracy(predict(model, test.x), test.y)
    return acc, attack_success_rate(predict(model, triggered), test.y, target)


def best(points: Sequence[Point], clean_acc: float, *, drop: float = 0.01) -> Point | None:
    """The point of lowest ASR after fine-tuning with ACC at most ``drop`` below ``clean_acc``, if any."""
    good = [p for p in points if clean_acc - p.tuned_acc.value <= drop]
    return min(good, key=lambda p: p.tuned_asr.value, default=None)


@torch.inference_mode()
def activations(model: LeNet5, x: Tensor) -> Tensor:
    """The penultimate layer on these images: (N, 1, 28, 28) -> (N, 84)."""
    return torch.cat([model.features(to_float(part)) for part in x.split(500)])


def prune(model: LeNet5, order: Tensor, share: float, algorithm: Algorithm) -> LeNet5:
    """A smaller copy without the first ``share`` of ``order``.

    Raises:
        ValueError: no neuron would be left, or the algorithm's layers do not fit together.
    """
    size = model.fc2.out_features
    count = round(share * size)
    if not 0 <= count < size:
        raise ValueError(f"pruning a share of {share} leaves none of the {size} neurons")
    if sorted(order.tolist()) != list(range(size)):
        raise ValueError(f"a ranking names each of the {size} neurons once")
    w_in, b_in, w_out = algorithm.prune_and_compress(
        model.fc2.weight.detach(), model.fc2.bias.detach(), model.fc3.weight.detach(), order[:count]
    )
    left = size - count
    expected = ((left, model.fc2.in_features), (left,), (model.fc3.out_features, left))
    if tuple(tuple(t.shape) for t in (w_in, b_in, w_out)) != expected:
        raise ValueError(f"after pruning {count} neurons the layers should have the shapes {expected}")
    smaller = copy.deepcopy(model)
    smaller.fc2, smaller.fc3 = nn.Linear(w_in.shape[1], left), nn.Linear(left, w_out.shape[0])
    with torch.no_grad():
        for parameter, value in (
            (smaller.fc2.weight, w_in), (smaller.fc2.bias, b_in),
            (smaller.fc3.weight, w_out), (smaller.fc3.bias, model.fc3.bias),
        ):  # fmt: skip
            parameter.copy_(value)
    return smaller.to(model.fc2.weight.device).eval()
