"""Transfer learning: a new last layer on the features of a frozen network, for many poisoned training sets at once.

A clean-label experiment trains a hundred last layers that differ in a few samples. Everything below the last layer is
frozen *in eval mode* (with BatchNorm in training mode the features themselves would move), so features are computed
once, and what is left is multinomial logistic regression:

    min over W of   mean over samples of CE(W [f, 1], label)  +  (weight_decay / 2) |W without its biases|^2

It is strictly convex but for a common shift of the biases, which changes no prediction: the answer does not depend on
where or in which order one starts. ``solve`` finds it for one set, ``solve_poisoned`` for T sets that share N clean
samples, all at once and from the clean answer on. ``sgd_poisoned`` is the poisoning benchmark's recipe (Schwarzschild
et al. 2021), which stops after 40 epochs wherever it is.

Weights are (K, D + 1), the last column the biases; T of them are (T, K, D + 1).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grader.lab.data import to_float

WEIGHT_DECAY = 1e-4
CHUNK = 16_000_000
"""Logits that are held at once: 64 MB."""
HESSIAN_SAMPLES = 4_000
"""Enough to precondition with; all of them would take minutes and change nothing in the answer."""
_HISTORY = 12
_SUFFICIENT = 1e-4  # Armijo's share of the predicted decrease
_SHORTEST = 2.0**-12
_ROUNDING = 1e-6  # relative, of a mean of float32 losses

Progress = Callable[[int, int, float], None]  # (done, in all, what is left to gain)


@dataclass(frozen=True)
class Poisons:
    """What each of T training sets has beside the shared samples.

    Attributes:
        features: (T, P, D) float32. labels: (T, P) int64, the poisons' own, that is the base class.
        replaced: (T, R) int64, positions of shared samples that this set has not got (the bases, where the poisons
            stand in their place); None: the poisons come on top.
    """

    features: Tensor
    labels: Tensor
    replaced: Tensor | None = None

    def __post_init__(self) -> None:
        t, p, _ = self.features.shape
        if self.labels.shape != (t, p) or self.labels.dtype != torch.int64:
            raise ValueError(
                f"poisons {tuple(self.features.shape)} need int64 labels {(t, p)}, not {tuple(self.labels.shape)}"
            )
        if self.replaced is not None and self.replaced.shape[:1] != (t,):
            raise ValueError(f"replaced samples need one row for each of the {t} sets")

    def __len__(self) -> int:
        return len(self.features)

    def of(self, which: Tensor) -> Poisons:
        """Those of some of the sets."""
        return Poisons(
            self.features[which],
            self.labels[which],
            None if self.replaced is None else self.replaced[which],
        )


@torch.inference_mode()
def extract(model: nn.Module, x: Tensor, batch_size: int = 500) -> Tensor:
    """The penultimate layer of a frozen model on these images: (N, C, H, W) float32 or grey levels -> (N, D).

    Raises:
        ValueError: the model is in training mode.
    """
    if model.training:
        raise ValueError("features are taken in eval mode: BatchNorm would move while it is looked at")
    features: Callable[[Tensor], Tensor] = model.features  # type: ignore[assignment]
    layout = torch.channels_last
    parts = (to_float(part).contiguous(memory_format=layout) for part in x.split(batch_size))
    return torch.cat([features(part) for part in parts]).clone()


def logits(weights: Tensor, features: Tensor) -> Tensor:
    """(K, D + 1) and (N, D) -> (N, K); (T, K, D + 1) and (T, N, D) or (N, D) -> (T, N, K)."""
    return features @ weights[..., :-1].transpose(-1, -2) + weights[..., -1].unsqueeze(-2)


def solve(
    features: Tensor,
    y: Tensor,
    *,
    num_classes: int = 10,
    weight_decay: float = WEIGHT_DECAY,
    iterations: int = 500,
) -> Tensor:
    """The last layer of a set without poisons, (K, D + 1), by L-BFGS from zero, in float64.

    Args:
        features: (N, D) float32; y: (N,) int64.
    """
    # Not torch.optim.LBFGS: the first optimiser of a process imports a second and 72 MiB of torch's compiler.
    from scipy.optimize import minimize  # this and the next come with scikit-learn
    from threadpoolctl import threadpool_limits

    f = _with_ones(features).double()
    shape = (num_classes, f.shape[1])

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = torch.from_numpy(flat).view(shape).requires_grad_()
        value = F.cross_entropy(f @ weights.T, y) + weight_decay / 2 * weights[:, :-1].square().sum()
        (gradient,) = torch.autograd.grad(value, weights)
        return value.item(), gradient.flatten().numpy()

    options = {"maxiter": iterations, "maxfun": 2 * iterations, "maxcor": 20, "gtol": 1e-7, "ftol": 1e-10}
    # SciPy's threads would fight torch's for the processors: 8 x slower
    with threadpool_limits(1, user_api="blas"):
        found = minimize(loss, np.zeros(math.prod(shape)), method="L-BFGS-B", jac=True, options=options)
    return torch.from_numpy(found.x).view(shape).float()


def solve_poisoned(
    features: Tensor,
    y: Tensor,
    poisons: Poisons,
    *,
    start: Tensor | None = None,
    num_classes: int = 10,
    weight_decay: float = WEIGHT_DECAY,
    tolerance: float = 1e-7,
    iterations: int = 100,
    progress: Progress | None = None,
) -> Tensor:
    """The last layers of T sets that share samples: (T, K, D + 1).

    L-BFGS on all sets at once, preconditioned with the Hessian at the clean answer: a few poisons do not move it
    far, so a dozen iterations are the rule. Sets that are done drop out.

    Args:
        features: the shared samples, (N, D) float32; y: (N,) int64.
        start: the answer without poisons, (K, D + 1); found first where it is not given.
        tolerance: stop where a Newton step would lower the objective by no more than this.

    Raises:
        ValueError: the poisons' features have another length.
    """
    if poisons.features.shape[2] != features.shape[1]:
        raise ValueError(f"poisons have {poisons.features.shape[2]} features, the others {features.shape[1]}")
    if start is None:
        start = solve(features, y, num_classes=num_classes, weight_decay=weight_decay)
    shared, extra = _with_ones(features), _with_ones(poisons.features)
    factor = _factorised_hessian(shared, start, weight_decay).float()

    def objective(which: Tensor, flat: Tensor) -> tuple[Tensor, Tensor]:
        weights = flat.view(len(which), *start.shape)
        value, gradient = _loss(weights, shared, y, extra, poisons, which)
        decayed = weights.clone()
        decayed[..., -1] = 0
        value = value + weight_decay / 2 * decayed.square().flatten(1).sum(1)
        return value, (gradient + weight_decay * decayed).flatten(1)

    def precondition(gradient: Tensor) -> Tensor:
        return torch.cholesky_solve(gradient.T, factor).T

    flat = start.flatten().repeat(len(poisons), 1)
    found = _minimise(objective, precondition, flat, tolerance, iterations, progress)
    return found.view(len(poisons), *start.shape)


def _with_ones(features: Tensor) -> Tensor:
    return torch.cat([features, features.new_ones(*features.shape[:-1], 1)], -1)


def _loss(
    weights: Tensor, shared: Tensor, y: Tensor, extra: Tensor, poisons: Poisons, which: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy of each set, (T,), and its gradient, (T, K, D + 1)."""
    sets, classes, width = weights.shape
    value = weights.new_zeros(sets, dtype=torch.float64)
    gradient = torch.zeros_like(weights)
    for rows in torch.arange(len(shared)).split(max(1, CHUNK // (sets * classes))):
        f, labels = shared[rows[0] : rows[-1] + 1], y[rows[0] : rows[-1] + 1]
        scores = (weights.view(-1, width) @ f.T).view(sets, classes, -1)  # (T, K, n)
        scores -= scores.logsumexp(1, keepdim=True)
        index = labels.expand(sets, 1, -1)
        value -= scores.gather(1, index).sum((1, 2), dtype=torch.float64)
        scores.exp_().scatter_add_(1, index, scores.new_tensor(-1.0).expand(index.shape))
        gradient += (scores.view(sets * classes, -1) @ f).view_as(gradient)
    count = weights.new_full((sets,), len(shared) + extra.shape[1])
    terms = [(extra[which], poisons.labels[which], 1.0)]
    if poisons.replaced is not None:
        gone = poisons.replaced[which]
        terms.append((shared[gone], y[gone], -1.0))
        count -= gone.shape[1]
    for f, labels, sign in terms:
        scores = (f @ weights.transpose(1, 2)).log_softmax(2)  # (T, P, K)
        index = labels.unsqueeze(2)
        value -= sign * scores.gather(2, index).sum((1, 2), dtype=torch.float64)
        error = scores.exp().scatter_add(2, index, scores.new_tensor(-1.0).expand(index.shape))
        gradient += sign * error.transpose(1, 2) @ f
    return value / count, gradient / count.view(-1, 1, 1)


def _factorised_hessian(features: Tensor, weights: Tensor, weight_decay: float) -> Tensor:
    """Cholesky factor (float64) of the clean objective's Hessian, (K (D + 1), K (D + 1)), from some of the samples."""
    step = max(1, len(features) // HESSIAN_SAMPLES)
    f = features[::step]
    p = (f @ weights.T).softmax(1)  # (n, K)
    classes, width = weights.shape
    hessian = f.new_empty(classes, width, classes, width)
    for k in range(classes):
        for other in range(k, classes):
            curvature = p[:, k] * (float(k == other) - p[:, other]) / len(f)
            hessian[k, :, other] = hessian[other, :, k] = (f * curvature.unsqueeze(1)).T @ f
    matrix = hessian.view(classes * width, classes * width).double()
    ridge = torch.full((classes, width), weight_decay, dtype=torch.float64)
    ridge[:, -1] = min(
        1e-3, weight_decay
    )  # biases are not decayed, and their common shift has no curvature at all
    matrix.diagonal().add_(ridge.flatten())
    return torch.linalg.cholesky(matrix)


def _minimise(
    objective: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    precondition: Callable[[Tensor], Tensor],
    start: Tensor,
    tolerance: float,
    iterations: int,
    progress: Progress | None,
) -> Tensor:
    """Preconditioned L-BFGS (Nocedal & Wright, algorithm 7.4) on T problems side by side, (T, n).

    ``objective(which, x)`` gives values (A,) and gradients (A, n) of the problems ``which`` (A,).
    """
    answer = start.clone()
    active = torch.arange(len(start))
    x = start.clone()
    value, gradient = objective(active, x)
    moves: list[tuple[Tensor, Tensor]] = []
    for iteration in range(iterations):
        direction = _direction(gradient, moves, precondition)
        gain = -(direction * gradient).sum(1)
        going = gain / 2 > tolerance
        if progress is not None:
            progress(iteration, iterations, float(gain.max()) / 2 if len(gain) else 0.0)
        if not bool(going.all()):
            answer[active] = x
            active, x, value, gradient = active[going], x[going], value[going], gradient[going]
            direction, gain = direction[going], gain[going]
            moves = [(s[going], d[going]) for s, d in moves]
        if len(active) == 0:
            return answer
        new_x, new_value, new_gradient = _line_search(objective, active, x, value, direction, gain)
        stuck = (new_x == x).all(1)
        moves = [*moves[-_HISTORY + 1 :], (new_x - x, new_gradient - gradient)]
        x, value, gradient = new_x, new_value, new_gradient
        if bool(stuck.all()):
            break
    answer[active] = x
    return answer


def _direction(
    gradient: Tensor, moves: list[tuple[Tensor, Tensor]], precondition: Callable[[Tensor], Tensor]
) -> Tensor:
    """The two-loop recursion; a move without positive curvature (a set that is stuck) counts for nothing."""
    q = gradient.clone()
    kept = []
    for s, d in reversed(moves):
        curvature = (s * d).sum(1, keepdim=True)
        rho = torch.where(curvature > 1e-20, 1 / curvature.clamp_min(1e-20), 0.0)
        alpha = rho * (s * q).sum(1, keepdim=True)
        q -= alpha * d
        kept.append((s, d, rho, alpha))
    r = precondition(q)
    for s, d, rho, alpha in reversed(kept):
        r += s * (alpha - rho * (d * r).sum(1, keepdim=True))
    return -r


def _line_search(
    objective: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    active: Tensor,
    x: Tensor,
    value: Tensor,
    direction: Tensor,
    gain: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Halve each set's step until its objective falls enough; one that never does stays where it is."""
    size = x.new_ones(len(x), 1)
    new_x = x + direction
    new_value, new_gradient = objective(active, new_x)
    while True:
        # near the end the values differ by no more than their rounding, and the slope says more (Hager & Zhang 2005)
        flat = (new_gradient * direction).sum(1).abs() <= 0.9 * gain
        fell = new_value <= value - _SUFFICIENT * size[:, 0] * gain
        failed = ~(fell | (flat & (new_value <= value + _ROUNDING * value.abs())))
        if not bool(failed.any()):
            return new_x, new_value, new_gradient
        size[failed] /= 2
        size[size < _SHORTEST] = 0
        new_x[failed] = x[failed] + size[failed] * direction[failed]
        new_value[failed], new_gradient[failed] = objective(active[failed], new_x[failed])
        if bool((size[failed] == 0).all()):
            return new_x, new_value, new_gradient


def sgd_poisoned(
    features: Tensor,
    y: Tensor,
    poisons: Poisons,
    generator: torch.Generator,
    *,
    num_classes: int = 10,
    epochs: int = 40,
    batch_size: int = 128,
    learning_rate: float = 0.01,
    momentum: float = 0.9,
    progress: Progress | None = None,
) -> Tensor:
    """The same T sets by the poisoning benchmark's recipe: a re-initialised layer and SGD. (T, K, D + 1).

    First weights and the order of the samples are drawn once for all sets. The poisons take the places of the samples
    that they replace, or further places at the end.
    """
    sets, width = len(poisons), features.shape[1] + 1
    shared, extra = _with_ones(features), _with_ones(poisons.features)
    drawn = torch.rand(num_classes, width, generator=generator)
    weights = ((2 * drawn - 1) / math.sqrt(width - 1)).repeat(sets, 1, 1)
    velocity = torch.zeros_like(weights)
    places, size = _places(poisons, len(shared))
    for epoch in range(epochs):
        for index in torch.randperm(size, generator=generator).split(batch_size):
            f, labels = _batch(index, shared, y, extra, poisons, places)
            error = (f @ weights.transpose(1, 2)).softmax(2)  # (T, B, K)
            error.scatter_add_(2, labels.unsqueeze(2), error.new_tensor(-1.0).expand(*labels.shape, 1))
            velocity.mul_(momentum).add_(error.transpose(1, 2) @ f / len(index))
            weights -= learning_rate * velocity
        if progress is not None:
            progress(epoch + 1, epochs, 0.0)
    return weights


def _places(poisons: Poisons, count: int) -> tuple[Tensor, int]:
    """Where each set has its poisons, (T, P), and how many samples a set has."""
    sets, number = poisons.labels.shape
    if poisons.replaced is None:
        return torch.arange(count, count + number).repeat(sets, 1), count + number
    if poisons.replaced.shape != poisons.labels.shape:
        raise ValueError("with SGD every poison replaces one sample")
    return poisons.replaced, count


def _batch(
    index: Tensor, shared: Tensor, y: Tensor, extra: Tensor, poisons: Poisons, places: Tensor
) -> tuple[Tensor, Tensor]:
    """Samples (T, B, D + 1) and labels (T, B) of one batch: the shared ones, and each set's poisons in their places."""
    ordinary = index.clamp_max(len(shared) - 1)
    f = shared[ordinary].repeat(len(poisons), 1, 1)
    labels = y[ordinary].repeat(len(poisons), 1)
    which, poison, position = (places.unsqueeze(2) == index).nonzero(as_tuple=True)
    f[which, position] = extra[which, poison]
    labels[which, position] = poisons.labels[which, poison]
    return f, labels
