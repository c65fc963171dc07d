"""Part 2's unit checks of the two steps and of the choice of bases; ``clean_label_loop.py`` has those of the loop.

Everything is judged on fresh random inputs, on feature extractors small enough to have closed forms. Inputs are chosen
so that one fault falls on one check: a single image where the batch is not the question, values that need no clip where
the clip is not the question, one nearest candidate where their number is not the question.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from grader.calls import Finding, Returned, TensorArgument
from grader.parts.run import CheckFunction, PartRun, require_close
from grader.parts.small_extractor import SmallExtractor

Values = Mapping[str, Any] | None
CHECKS: dict[str, CheckFunction] = {}


def _check(function: CheckFunction) -> CheckFunction:
    """Register a check under its id: ``forward_step__returns_no_graph``
    is ``clean_label.forward_step.returns_no_graph``.
    """
    CHECKS[f"clean_label.{function.__name__.replace('__', '.')}"] = function
    return function


# --- forward_step ----------------------------------------------------------------------------------------------------


def _images(rng: np.random.Generator, extractor: SmallExtractor, count: int) -> np.ndarray:
    return rng.uniform(0, 1, (count, *extractor.shape)).astype(np.float32)


def _steps(rng: np.random.Generator, count: int, low: float, high: float) -> np.ndarray:
    """(N, 1, 1, 1) step sizes, clearly unlike each other."""
    sizes = np.geomspace(low, high, count) if count > 1 else np.array([rng.uniform(low, high)])
    return rng.permutation(sizes).astype(np.float32).reshape(-1, 1, 1, 1)


def _forward(
    run: PartRun, extractor: SmallExtractor, x: np.ndarray, targets: np.ndarray, step: np.ndarray
) -> Returned:
    return run.student.call(
        "forward_step", extractor.argument, TensorArgument(x), TensorArgument(targets), TensorArgument(step)
    )


def _forward_problem(
    rng: np.random.Generator, count: int
) -> tuple[SmallExtractor, np.ndarray, np.ndarray, np.ndarray]:
    """Extractor, images, targets' features and steps that carry some pixels out of [0, 1]."""
    while True:
        extractor = SmallExtractor.draw(rng, tanh=True)
        x = _images(rng, extractor, count)
        targets = rng.uniform(-0.8, 0.8, (count, len(extractor.bias))).astype(np.float32)
        gradient = extractor.gradient(x, targets)
        longest = 0.5 / float(np.abs(gradient).max())
        steps = _steps(rng, count, longest / 4, longest)
        moved = x - steps * gradient
        # drawn again where every pixel stays in [0, 1]: who clips here would do nothing wrong
        if float(np.abs(moved - moved.clip(0, 1)).max()) > 0.01:
            return extractor, x, targets, steps


@_check
def forward_step__takes_gradient_step(run: PartRun, rng: np.random.Generator) -> Values:
    # one image: what is averaged over the batch is the next check's question
    extractor, x, targets, step = _forward_problem(rng, 1)
    found = _forward(run, extractor, x, targets, step).tensor(x.shape)
    gradient = extractor.gradient(x, targets)
    right = x - step * gradient
    distance = np.sqrt(extractor.distance(x, targets)).reshape(-1, 1, 1, 1)
    wrong = {
        "not_moved": x,
        "ascended": x + step * gradient,
        "clipped": np.clip(right, 0, 1),
        "averaged_features": x - step * gradient / len(extractor.bias),
        "not_squared": x - step * gradient / (2 * distance),
        "halved": x - step * gradient / 2,
        "step_ignored": x - gradient,
        "target_ignored": x - step * extractor.gradient(x, np.zeros_like(targets)),
        "sign_step": x - step * np.sign(gradient),
        "gradient_returned": gradient,
    }
    require_close(found, right, wrong)
    return None


@_check
def forward_step__each_image_alone(run: PartRun, rng: np.random.Generator) -> Values:
    extractor, x, targets, step = _forward_problem(rng, int(rng.integers(4, 7)))
    found = _forward(run, extractor, x, targets, step).tensor(x.shape)
    gradient = extractor.gradient(x, targets)
    of_first = extractor.gradient(x, np.broadcast_to(targets[:1], targets.shape))
    wrong = {
        "averaged_batch": x - step * gradient / len(x),
        "one_target": x - step * of_first,
        "one_step": x - step[:1] * gradient,
        "mean_step": x - step.mean() * gradient,
    }
    require_close(found, x - step * gradient, wrong)
    return None


@_check
def forward_step__leaves_inputs_alone(run: PartRun, rng: np.random.Generator) -> Values:
    extractor, x, targets, step = _forward_problem(rng, 3)
    done = _forward(run, extractor, x, targets, step)
    _require_untouched(done, {1: ("poison", x), 2: ("target_features", targets), 3: ("step_size", step)})
    return None


@_check
def forward_step__returns_no_graph(run: PartRun, rng: np.random.Generator) -> Values:
    extractor, x, targets, step = _forward_problem(rng, 3)
    done = _forward(run, extractor, x, targets, step)
    done.tensor(x.shape)
    if done.result.get("requires_grad") is not False:
        raise Finding("has_graph")
    return None


# --- backward_step ---------------------------------------------------------------------------------------------------


def _backward(run: PartRun, forward: np.ndarray, base: np.ndarray, step: np.ndarray, beta: float) -> Returned:
    return run.student.call(
        "backward_step", TensorArgument(forward), TensorArgument(base), TensorArgument(step), beta
    )


def pulled(forward: np.ndarray, base: np.ndarray, weight: np.ndarray | float) -> np.ndarray:
    """Where the derivative of (weight / 2) |x - b|^2 + |x - forward|^2 / 2 is zero."""
    return forward + weight / (1 + weight) * (base.astype(np.float64) - forward)


def _backward_problem(
    rng: np.random.Generator, low: float, high: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Forward images with values from low to high, bases, steps, beta."""
    count = int(rng.integers(3, 6))
    shape = (count, int(rng.integers(2, 4)), int(rng.integers(4, 6)), int(rng.integers(6, 8)))
    forward = rng.uniform(low, high, shape).astype(np.float32)
    base = rng.uniform(0.3, 0.7, shape).astype(np.float32)
    return forward, base, _steps(rng, count, 0.1, 0.6), float(rng.uniform(1.5, 3.0))


@_check
def backward_step__moves_towards_base(run: PartRun, rng: np.random.Generator) -> Values:
    forward, base, step, beta = _backward_problem(rng, 0.3, 0.7)
    found = _backward(run, forward, base, step, beta).tensor(forward.shape)
    weight = step * beta
    wrong = {
        "not_pulled": forward,
        "half_forgotten": pulled(forward, base, 2 * weight),
        "too_weak": pulled(forward, base, weight / 2),
        "explicit_step": forward - weight * (forward - base),
        "not_divided": np.clip(forward + weight * base, 0, 1),
        "swapped": pulled(base, forward, weight),
        "step_ignored": pulled(forward, base, beta),
        "beta_ignored": pulled(forward, base, step.astype(np.float64)),
        "one_step": pulled(forward, base, weight[:1]),
        "mean_step": pulled(forward, base, weight.mean()),
    }
    require_close(found, pulled(forward, base, weight), wrong)
    found = _backward(run, forward, base, step, 0.0).tensor(forward.shape)
    require_close(found, forward, {"pulled_without_beta": base})
    return None


@_check
def backward_step__clips_to_pixel_range(run: PartRun, rng: np.random.Generator) -> Values:
    forward, base, step, beta = _backward_problem(rng, -1.5, 2.5)
    found = _backward(run, forward, base, step, beta).tensor(forward.shape)
    right = pulled(forward, base, step * beta)
    wrong = {
        "not_clipped": right,
        "clipped_first": pulled(np.clip(forward, 0, 1), base, step * beta),
        "clipped_high_only": np.minimum(right, 1),
        "clipped_low_only": np.maximum(right, 0),
    }
    require_close(found, np.clip(right, 0, 1), wrong, low=float(found.min()), high=float(found.max()))
    return None


@_check
def backward_step__leaves_inputs_alone(run: PartRun, rng: np.random.Generator) -> Values:
    for beta in (2.0, 0.0):  # with nothing to pull and nothing to clip, forward itself is no new tensor
        forward, base, step, _ = _backward_problem(rng, 0.3, 0.7)
        done = _backward(run, forward, base, step, beta)
        _require_untouched(done, {0: ("forward", forward), 1: ("base", base), 2: ("step_size", step)})
    return None


# --- choose_bases ----------------------------------------------------------------------------------------------------


def _choose(run: PartRun, candidates: np.ndarray, targets: np.ndarray, count: int) -> np.ndarray:
    done = run.student.call("choose_bases", TensorArgument(candidates), TensorArgument(targets), count)
    found = done.tensor((len(targets), count), "int64")
    if not bool(((found >= 0) & (found < len(candidates))).all()):
        raise Finding("out_of_range", count=len(candidates))
    return found


def _distances(candidates: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(T, M), float64."""
    return np.sqrt(((targets[:, None].astype(np.float64) - candidates) ** 2).sum(axis=2))


def _candidates(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Features of candidates (M, D) and targets (T, D), drawn so that other measures choose others."""
    dim, targets = int(rng.integers(6, 9)), int(rng.integers(5, 8))
    while True:
        # of very different lengths, so that direction, product and distance disagree
        candidates = rng.normal(0, 1, (40, dim)) * rng.uniform(0.3, 3, (40, 1))
        wanted = rng.normal(0, 1, (targets, dim)) * rng.uniform(0.5, 2, (targets, 1))
        ordered = np.sort(_distances(candidates, wanted), axis=1)
        clear = bool((ordered[:, 1] > 1.03 * ordered[:, 0]).all())
        nearest = _distances(candidates, wanted).argmin(axis=1)
        others = _other_measures(candidates, wanted)
        if clear and all((choice != nearest).sum() >= 2 for choice in others.values()):
            return candidates.astype(np.float32), wanted.astype(np.float32)


def _other_measures(candidates: np.ndarray, targets: np.ndarray) -> dict[str, np.ndarray]:
    """What each usual mistake chooses, (T,), by the finding that names it."""
    distances = _distances(candidates, targets)
    products = targets.astype(np.float64) @ candidates.T
    cosines = products / np.linalg.norm(candidates, axis=1)
    manhattan = np.abs(targets[:, None].astype(np.float64) - candidates).sum(axis=2)
    return {
        "farthest": distances.argmax(axis=1),
        "cosine": cosines.argmax(axis=1),
        "product": products.argmax(axis=1),
        "manhattan": manhattan.argmin(axis=1),
        "one_for_all": np.full(len(targets), distances.mean(axis=0).argmin()),
        "first_target": np.full(len(targets), distances[0].argmin()),
    }


@_check
def choose_bases__finds_nearest(run: PartRun, rng: np.random.Generator) -> Values:
    candidates, targets = _candidates(rng)
    found = _choose(run, candidates, targets, 1)[:, 0]
    nearest = _distances(candidates, targets).argmin(axis=1)
    if np.array_equal(found, nearest):
        return None
    for key, choice in _other_measures(candidates, targets).items():
        if np.array_equal(found, choice):
            raise Finding(key)
    raise Finding("not_nearest", wrong=int((found != nearest).sum()), total=len(targets))


@_check
def choose_bases__takes_distinct(run: PartRun, rng: np.random.Generator) -> Values:
    candidates, targets = _candidates(rng)
    # equal candidates, the nearest of the first target among them: either of them may come first, and none twice
    nearest = int(_distances(candidates, targets)[0].argmin())
    twins = rng.choice(len(candidates), 8, replace=False)
    candidates = np.concatenate([candidates, candidates[twins], candidates[nearest : nearest + 1]])
    for count in (int(rng.integers(4, 7)), len(candidates), 1):
        found = _choose(run, candidates, targets, count)
        if any(len(set(row)) != count for row in found.tolist()):
            raise Finding("repeated", requested=count)
        ordered = np.sort(_distances(candidates, targets), axis=1)[:, :count]
        chosen = np.take_along_axis(_distances(candidates, targets), found, axis=1)
        if not np.allclose(np.sort(chosen, axis=1), ordered, rtol=1e-3):
            raise Finding("not_nearest", requested=count)
        if not np.allclose(chosen, ordered, rtol=1e-3):
            raise Finding("not_in_order", requested=count)
    return None


# --- small helpers ---------------------------------------------------------------------------------------------------


def _require_untouched(done: Returned, arguments: Mapping[int, tuple[str, np.ndarray]]) -> None:
    """Raise a Finding where an argument changed, began to require a gradient, or is what was returned."""
    for index, (name, before) in arguments.items():
        state = done.arguments[index]
        if (
            state.array is None
            or state.array.dtype != before.dtype
            or not np.array_equal(state.array, before)
        ):
            raise Finding("argument_changed", name=name)
        if state.flags.get("requires_grad") is not False:
            raise Finding("requires_grad_changed", name=name)
        if state.flags.get("is_result"):
            raise Finding("same_tensor", name=name)
