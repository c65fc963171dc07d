"""Is a returned gradient the gradient of the objective? Asked by directional finite differences, in float64.

The objective of part 1 is L(theta, delta) = CE(f(x), y) + CE(f(clamp(x + delta, 0, 1)), target). Along a random
direction v its derivative is (L(theta + h v) - L(theta - h v)) / 2h: forward passes only, so nothing here prints how
the gradient is computed. It must equal <g, v> for the gradient g that came back. A submission that returns something
else, to walk the weights to values hidden in its file, is seen with near certainty in a step that is audited.

Not covered: a lie far smaller than the gradient itself (see ``TOLERANCE``); delta's gradient at pixels on the clamp's
kink, which are all of them in the first step, since delta begins at 0; and steps that are not audited. Which steps are
audited is drawn from the operating system's randomness and asked when their block is over: a submission cannot know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grader.lab.models import LeNet5, forward_only

TOLERANCE = 1e-3
"""Largest accepted |<g, v> - finite difference| for the model's gradient, relative to the size that <g, v> has for
random signs. Honest float32 gradients are off by about 1e-5 of it."""
DELTA_TOLERANCE = 0.03
"""The same for delta's gradient. Under a trigger in the ball's corner whole patches of background are equal, max-pool
has ties, and every winner of a tie gives a right gradient, so this one is looser."""
_STEP = 1e-7
_DELTA = "delta"  # its name beside the parameters'
_NEAR_POINTS, _SPREAD = 24, 5.0
_FEW_POINTS, _FEW_SPREAD = 6, 2.0
"""Enough to say that a gradient is right, never that it is wrong: so close to so few is within the spread of all."""
_TINY = 1e-30  # no division by zero where all gradients are zero
_CHUNK = 32
"""Images a forward pass: in float64 they are quicker in small portions, which stay in the processor's cache."""
_KINK = 1e-6
_ROUNDING = 2**-23
"""Float32's spacing at 1: it knows the probability p of an image's label, and so p - 1, no better."""


@dataclass(frozen=True)
class Verdict:
    """``error`` is relative to the size of <g, v>; the gradients agree where it is within ``tolerance``."""

    error: float
    tolerance: float

    @property
    def agrees(self) -> bool:
        return bool(self.error <= self.tolerance)


def audited_model(model: nn.Module) -> LeNet5:
    """A float64 copy of a LeNet-5 to audit with, in the memory layout that is quickest for it."""
    return forward_only(model).double().to(memory_format=torch.contiguous_format)


def objective(
    model: nn.Module,
    delta: Tensor,
    x: Tensor,
    y: Tensor,
    target: int,
    *,
    clean_term: bool = True,
    pool: Executor | None = None,
) -> float:
    """The value of L on one batch, in the arguments' precision; forward passes only.

    Args:
        clean_term: False leaves CE(f(x), y) out, which does not depend on delta.
        pool: threads that share the batch; without one, this thread does it all.
    """
    total = torch.zeros((), dtype=delta.dtype)
    for logits, labels in _answers(model, delta, x, y, target, clean_term=clean_term, pool=pool):
        total = total + F.cross_entropy(logits, labels, reduction="sum")
    return float(total) / len(x)


def _answers(
    model: nn.Module,
    delta: Tensor,
    x: Tensor,
    y: Tensor,
    target: int,
    *,
    clean_term: bool,
    pool: Executor | None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Logits, and the labels that L compares them with, a portion at a time."""

    def answer(images: Tensor, labels: Tensor) -> list[tuple[Tensor, Tensor]]:
        with torch.inference_mode():
            triggered = (model((images + delta).clamp(0, 1)), torch.full_like(labels, target))
            return [triggered, (model(images), labels)] if clean_term else [triggered]

    each = map if pool is None else pool.map
    return chain.from_iterable(each(answer, x.split(_CHUNK), y.split(_CHUNK)))


def check_gradients(
    model: nn.Module,
    delta: Tensor,
    batch: tuple[Tensor, Tensor],
    target: int,
    *,
    gradients: Mapping[str, Tensor],
    rng: np.random.Generator,
    pool: Executor | None = None,
) -> Verdict:
    """Compare the gradients that came back for the model with the objective, along one random direction.

    Args:
        model: float64, with the weights at which the gradients were taken; as it was, afterwards.
        delta: float64 (1, C, H, W), the trigger at which they were taken.
        batch: x float64 (N, C, H, W) and y (N,).
        gradients: by parameter name, what came back.
        pool: threads that share the work.
    """
    point = _Point(model, delta, *batch, target, pool)
    return Verdict(point.error(gradients, _directions(gradients, rng), TOLERANCE, rng), TOLERANCE)


def check_delta_gradient(
    model: nn.Module,
    delta: Tensor,
    batch: tuple[Tensor, Tensor],
    target: int,
    *,
    gradient: Tensor,
    rng: np.random.Generator,
    pool: Executor | None = None,
) -> Verdict:
    """The same for the gradient that came back for delta, (1, C, H, W).

    Where no pixel is off the clamp's kink (MNIST's black background under delta = 0), there is nothing to compare.
    """
    direction = _directions({_DELTA: gradient}, rng)[_DELTA] * _smooth_pixels(batch[0], delta)
    point = _Point(model, delta, *batch, target, pool)
    return Verdict(
        point.error({_DELTA: gradient}, {_DELTA: direction}, DELTA_TOLERANCE, rng), DELTA_TOLERANCE
    )


@dataclass(frozen=True)
class _Point:
    """Where a gradient was taken; all tensors float64."""

    model: nn.Module
    delta: Tensor
    x: Tensor
    y: Tensor
    target: int
    pool: Executor | None

    def error(
        self,
        gradients: Mapping[str, Tensor],
        directions: Mapping[str, Tensor],
        tolerance: float,
        rng: np.random.Generator,
    ) -> float:
        """|<g, v> - finite difference| over the size of <g, v>."""
        products = [gradients[name].double() * v for name, v in directions.items()]
        claimed = sum(float(p.sum()) for p in products)
        # signs are random, so <g, v> has this size: the root of the sum of squares
        size = sum(float(p.square().sum()) for p in products) ** 0.5 + _TINY
        error = abs(claimed - self.derivative(directions)) / size
        if error > tolerance:
            distance = self._distance_near_kink(directions, claimed, rng) - self._rounding(directions)
            error = max(0.0, distance) / size
        return error

    def derivative(self, directions: Mapping[str, Tensor]) -> float:
        """The central difference of the objective along these directions."""
        return (self._shifted(directions, _STEP) - self._shifted(directions, -_STEP)) / (2 * _STEP)

    def _shifted(self, directions: Mapping[str, Tensor], h: float) -> float:
        with self._at(directions, h) as (where, clean_term):
            return objective(*where, clean_term=clean_term, pool=self.pool)

    def _label_logits(self, directions: Mapping[str, Tensor], h: float) -> Tensor:
        with self._at(directions, h) as (where, clean_term):
            answers = list(_answers(*where, clean_term=clean_term, pool=self.pool))
        return torch.cat([logits.gather(1, labels[:, None]) for logits, labels in answers])

    @contextmanager
    def _at(
        self, directions: Mapping[str, Tensor], h: float
    ) -> Iterator[tuple[tuple[nn.Module, Tensor, Tensor, Tensor, int], bool]]:
        """The objective's arguments this far along the directions, and whether its clean term changes with them."""
        delta = self.delta + h * directions[_DELTA] if _DELTA in directions else self.delta
        _add(self.model, directions, h)
        try:
            yield (self.model, delta, self.x, self.y, self.target), set(directions) != {_DELTA}
        finally:
            _add(self.model, directions, -h)

    def _rounding(self, directions: Mapping[str, Tensor]) -> float:
        """How much of <g, v> is float32's rounding, at most, where images are solved to its last digit.

        The gradient of an image's term towards its label's logit is p - 1. When the loss is smaller than what float32
        can tell from 1, the gradient that an honest submission returns is rounding alone.
        """
        ahead, behind = (self._label_logits(directions, h) for h in (_STEP, -_STEP))
        slopes = (ahead - behind).abs() / (2 * _STEP)
        return _ROUNDING * float(slopes.sum()) / len(self.x)

    def _distance_near_kink(
        self, directions: Mapping[str, Tensor], claimed: float, rng: np.random.Generator
    ) -> float:
        """How far ``claimed`` is from the derivatives that float32 rounding cannot tell from the one asked for.

        ReLU and max-pool have kinks, and the trigger puts all images of a batch on the same one (a background pixel
        under delta is the same number in each of them), so that rounding can decide 2 % of the gradient. Near a kink
        the derivatives at slightly moved points scatter; elsewhere they agree, and a wrong gradient stays far from
        all.
        """
        found: list[float] = []

        def distance(spread: float) -> float:
            return abs(claimed - float(np.mean(found))) - spread * float(np.std(found))

        for _ in range(_NEAR_POINTS):
            if len(found) == _FEW_POINTS and distance(_FEW_SPREAD) <= 0:
                return 0.0
            noise = {name: _noise(p, rng) for name, p in self.model.named_parameters()}
            _add(self.model, noise, 1.0)
            moved = replace(self, delta=self.delta + _noise(self.delta, rng))
            found.append(moved.derivative(directions))
            _add(self.model, noise, -1.0)
        return distance(_SPREAD)


def _noise(values: Tensor, rng: np.random.Generator) -> Tensor:
    """Float32's rounding, and more: about 3e-6 of each value.

    Half as many points, moved by 1e-6, were all on the other side of a kink than float32 in 1 of 24,000 honest
    gradients of six images; these were in none of 24,000 (``python -m tests.false_alarms``).
    """
    return values.detach() * torch.from_numpy(rng.normal(0, 3e-6, tuple(values.shape)))


def _directions(gradients: Mapping[str, Tensor], rng: np.random.Generator) -> dict[str, Tensor]:
    """Random signs, scaled so that every layer has an equal say in <g, v>; together of length 1.

    A layer whose returned gradient is (nearly) zero gets a large scale: a hidden gradient there stands out.
    """
    norms = {name: float(g.double().norm()) for name, g in gradients.items()}
    least = 1e-3 * max(norms.values()) or 1.0
    found = {
        name: torch.from_numpy(rng.choice([-1.0, 1.0], size=tuple(g.shape))) / max(norms[name], least)
        for name, g in gradients.items()
    }
    length = sum(float(v.square().sum()) for v in found.values()) ** 0.5
    return {name: v / length for name, v in found.items()}


def _smooth_pixels(x: Tensor, delta: Tensor) -> Tensor:
    """1 where no image of the batch sits on the clamp's kink, else 0: (1, C, H, W).

    On the kink (an MNIST background of exactly 0 under delta = 0, say) every value between the two one-sided
    derivatives is a right gradient, and implementations differ.
    """
    shifted = x + delta
    on_kink = (shifted.abs() < _KINK) | ((shifted - 1).abs() < _KINK)
    return (~on_kink.any(dim=0, keepdim=True)).to(x.dtype)


@torch.no_grad()
def _add(model: nn.Module, directions: Mapping[str, Tensor], h: float) -> None:
    for name, parameter in model.named_parameters():
        if name in directions:
            parameter.add_(directions[name], alpha=h)
