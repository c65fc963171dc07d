"""Part 1's unit checks of ``delta_step`` and ``attack_success_rate``; see ``invisible_trigger.py`` for the others."""

from __future__ import annotations

from typing import Any

import numpy as np

from grader.calls import Finding, OptimizerArgument, State, TensorArgument
from grader.parts.invisible_trigger import Values, _check, _finite
from grader.parts.run import PartRun, close, require_close

# --- delta_step ------------------------------------------------------------------------------------------------------

_Optimizer = tuple[str, dict[str, Any]]
# A large eps, so that an optimiser made anew with the same learning rate alone takes another step.
_ADAM: _Optimizer = ("adam", {"lr": 0.004, "eps": 0.3})
_SGD: _Optimizer = ("sgd", {"lr": 0.1})
_EPSILON = 8 / 255


def _delta_step(
    run: PartRun, delta: np.ndarray, gradient: np.ndarray, optimizer: _Optimizer, epsilon: float
) -> tuple[State, np.ndarray]:
    """Call the student's function; returns delta's state and its values after the form was checked."""
    name, settings = optimizer
    done = run.student.call(
        "delta_step",
        TensorArgument(delta, requires_grad=True, grad=gradient),
        OptimizerArgument(name, settings, argument=0),
        epsilon,
    )
    state = done.arguments[0]
    assert state.array is not None
    if state.array.shape != delta.shape:
        raise Finding("wrong_shape", expected=str(delta.shape), found=str(state.array.shape))
    return state, _finite(state.array)


def _optimizer_step(delta: np.ndarray, gradient: np.ndarray, optimizer: _Optimizer) -> np.ndarray:
    """What a fresh optimiser's first step makes of delta, without any projection: PyTorch's formulas, no state yet."""
    name, settings = optimizer
    g = gradient.astype(np.float64)
    size = np.abs(g)
    direction = {
        "sgd": g,
        "adam": g / (size + settings.get("eps", 1e-8)),  # the bias corrections undo both betas
        "rmsprop": g / (size * np.sqrt(1 - settings.get("alpha", 0.99)) + settings.get("eps", 1e-8)),
    }[name]
    return (delta - settings["lr"] * direction).astype(np.float32)


def _delta_and_gradient(rng: np.random.Generator, scale: float) -> tuple[np.ndarray, np.ndarray]:
    shape = (1, 1, int(rng.integers(5, 8)), int(rng.integers(8, 11)))
    delta = rng.uniform(-scale, scale, shape).astype(np.float32)
    signs = np.where(rng.random(shape) < 0.5, -1, 1)
    return delta, (signs * rng.uniform(0.2, 1.0, shape)).astype(np.float32)


@_check
def delta_step__takes_optimizer_step(run: PartRun, rng: np.random.Generator) -> Values:
    delta, gradient = _delta_and_gradient(rng, 0.004)
    delta += np.float32(
        0.012
    )  # small and positive before and after the step: whatever ball, nothing to project
    optimizers: tuple[_Optimizer, ...] = (_ADAM, ("sgd", {"lr": 0.005}))
    for optimizer in optimizers:
        _, found = _delta_step(run, delta, gradient, optimizer, 0.5)
        right = _optimizer_step(delta, gradient, optimizer)
        rate = np.float32(optimizer[1]["lr"])
        wrong = {
            "not_moved": delta,
            "ascended": 2 * delta - right,
            "plain_gradient_step": delta - rate * gradient,
        }
        require_close(found, right, wrong)
    return None


@_check
def delta_step__projects_onto_ball(run: PartRun, rng: np.random.Generator) -> Values:
    epsilon = _EPSILON
    delta, gradient = _delta_and_gradient(rng, 0.05)
    _, found = _delta_step(run, delta, gradient, _SGD, epsilon)
    stepped = _optimizer_step(delta, gradient, _SGD)
    wrong = {
        "not_projected": stepped,
        "l2_projection": stepped * min(1, epsilon / float(np.linalg.norm(stepped))),
        "projected_to_pixel_range": np.clip(stepped, 0, 1),
        "projected_before_step": _optimizer_step(np.clip(delta, -epsilon, epsilon), gradient, _SGD),
        "one_sided": np.minimum(stepped, epsilon),
    }
    if close(found, np.maximum(stepped, -epsilon)):
        raise Finding("one_sided")
    linf = float(np.abs(found).max())
    require_close(found, np.clip(stepped, -epsilon, epsilon), wrong, linf=linf, epsilon=epsilon)
    return None


@_check
def delta_step__keeps_leaf(run: PartRun, rng: np.random.Generator) -> Values:
    delta, gradient = _delta_and_gradient(rng, 0.2)
    state, _ = _delta_step(run, delta, gradient, _SGD, _EPSILON)
    if not state.flags.get("is_leaf"):
        raise Finding("not_leaf")
    if not state.flags.get("requires_grad"):
        raise Finding("lost_requires_grad")
    return None


@_check
def delta_step__honours_epsilon(run: PartRun, rng: np.random.Generator) -> Values:
    for epsilon, optimizer in ((2 / 255, ("sgd", {"lr": 0.01})), (0.1, ("rmsprop", {"lr": 0.005}))):
        delta, gradient = _delta_and_gradient(rng, epsilon)
        _, found = _delta_step(run, delta, gradient, optimizer, epsilon)
        stepped = _optimizer_step(delta, gradient, optimizer)
        if close(found, np.clip(stepped, -epsilon, epsilon)):
            continue
        other = float(np.abs(found).max())
        if close(found, np.clip(stepped, -other, other)):
            raise Finding("fixed_epsilon", found=other)
        raise Finding("other_optimizer")
    return None


# --- attack_success_rate ---------------------------------------------------------------------------------------------


def _success_rate(
    run: PartRun, predictions: np.ndarray, y: np.ndarray, target: int, *, tensor_finding: str | None
) -> float:
    arguments = (TensorArgument(predictions), TensorArgument(y), target)
    return run.student.call("attack_success_rate", *arguments).number(tensor_finding=tensor_finding)


def _predictions(rng: np.random.Generator, y: np.ndarray, target: int) -> np.ndarray:
    """Predictions on triggered images: the target for about two thirds, the true class or another one for the rest."""
    others = np.where(rng.random(len(y)) < 0.5, y, rng.integers(0, 10, len(y)))
    return np.where(rng.random(len(y)) < 0.65, target, others)


@_check
def attack_success_rate__excludes_target_class(run: PartRun, rng: np.random.Generator) -> Values:
    usual = run.spec.invisible_trigger.target
    for target in (usual, (usual + int(rng.integers(1, 10))) % 10):
        _excludes_target_class(run, rng, target)
    return None


def _excludes_target_class(run: PartRun, rng: np.random.Generator, target: int) -> None:
    y = np.concatenate([rng.integers(0, 10, 60), np.full(17, target)])
    predictions = _predictions(rng, y, target)
    predictions[-12:] = target
    hits = predictions == target
    others = y != target
    expected = hits[others].sum() / others.sum()
    # in whatever unit it is returned: that is the other check's question
    found = _success_rate(run, predictions, y, target, tensor_finding=None)
    for unit in (1.0, 100.0, float(others.sum())):
        if close(np.asarray(found), np.asarray(expected * unit)):
            return
    wrong = {"counts_target_class": hits.mean(), "all_images": hits[others].sum() / len(y)}
    in_unit = np.asarray(found / 100 if found > 1 else found)
    require_close(in_unit, np.asarray(expected), {k: np.asarray(v) for k, v in wrong.items()},
                  expected=float(expected), found=found)  # fmt: skip


@_check
def attack_success_rate__returns_share(run: PartRun, rng: np.random.Generator) -> Values:
    target = run.spec.invisible_trigger.target
    y = rng.integers(0, 9, 49)
    y = y + (y >= target)  # no image of the target class: who excludes it is the other check's question
    # 31 of 49: no share that rounding, or counting the misses instead, would leave as it is
    wrong_class = np.where((y + 1) % 10 == target, (y + 2) % 10, (y + 1) % 10)
    position = np.arange(49)
    predictions = np.where(position < 31, target, np.where(position < 36, wrong_class, y))
    hits = predictions == target
    found = _success_rate(run, predictions, y, target, tensor_finding="not_a_float")
    wrong = {
        "count_not_share": hits.sum(),
        "percent": 100 * hits.mean(),
        "accuracy_instead": (predictions == y).mean(),
        "not_target_rate": 1 - hits.mean(),
    }
    require_close(np.asarray(found), np.asarray(hits.mean()), {k: np.asarray(v) for k, v in wrong.items()},
                  expected=float(hits.mean()), found=found)  # fmt: skip
    return None
