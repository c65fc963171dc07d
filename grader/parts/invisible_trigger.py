"""Part 1's unit checks: the four functions of ``invisible_trigger.py``, judged on fresh random inputs.

No check starts training; the three outcome checks are in ``invisible_trigger_attack.py``. Inputs are chosen so that one
fault falls on one check: nothing is clipped where the clamp is not the question, projection has nothing to do where the
optimiser's step is the question, old gradients are absent where clearing them is not the question, and the target is
the spec's own where honouring another one is not the question.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from grader.audit import audited_model, check_delta_gradient, check_gradients
from grader.calls import Finding, ModelArgument, Returned, TensorArgument
from grader.lab.models import LeNet5, initialise
from grader.parts.closed_form import LinearProblem, labels_around, usual_mistakes
from grader.parts.run import CheckFunction, PartRun, close, require_close

Values = Mapping[str, Any] | None
CHECKS: dict[str, CheckFunction] = {}


def _check(function: CheckFunction) -> CheckFunction:
    """Register a check under its id: ``delta_step__keeps_leaf`` is ``invisible_trigger.delta_step.keeps_leaf``."""
    CHECKS[f"invisible_trigger.{function.__name__.replace('__', '.')}"] = function
    return function


# --- apply_trigger ---------------------------------------------------------------------------------------------------


def _unclipped_images(rng: np.random.Generator, channels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """x (N, C, H, W) and delta (1, C, H, W) whose sums stay well inside [0, 1]; never a square, never one channel."""
    n, c, h, w = int(rng.integers(3, 6)), channels, int(rng.integers(7, 10)), int(rng.integers(10, 13))
    x = rng.uniform(0.3, 0.7, (n, c, h, w)).astype(np.float32)
    return x, rng.uniform(-0.1, 0.1, (1, c, h, w)).astype(np.float32)


@_check
def apply_trigger__adds_delta(run: PartRun, rng: np.random.Generator) -> Values:
    for channels in (3, 1):
        x, delta = _unclipped_images(rng, channels)
        found = run.student.call("apply_trigger", TensorArgument(x), TensorArgument(delta)).tensor(x.shape)
        factor = float(((np.float64(found) - x) * delta).sum() / (np.float64(delta) ** 2).sum() / len(x))
        factor = max(-1e6, min(factor, 1e6))  # what is larger is no usual mistake, and no float32 either
        wrong = {
            "subtracted": x - delta,
            "delta_ignored": x,
            "delta_clipped": x + delta.clip(0, 1),
            "scaled": x + np.float32(factor) * delta,
        }
        require_close(found, x + delta, wrong, factor=factor)
    return None


@_check
def apply_trigger__clamps_to_pixel_range(run: PartRun, rng: np.random.Generator) -> Values:
    x, delta = _unclipped_images(rng)
    # black and white pixels among grey
    x = np.where(rng.random(x.shape) < 0.5, np.round(x), x).astype(np.float32)
    delta *= 4
    found = run.student.call("apply_trigger", TensorArgument(x), TensorArgument(delta)).tensor(x.shape)
    total = x + delta
    low, high = float(found.min()), float(found.max())
    wrong = {
        "not_clamped": total,
        "clamped_high_only": np.minimum(total, 1),
        "clamped_low_only": np.maximum(total, 0),
        "wrong_range": np.clip(total, low, high),
    }
    require_close(found, np.clip(total, 0, 1), wrong, low=low, high=high)
    return None


@_check
def apply_trigger__leaves_inputs_alone(run: PartRun, rng: np.random.Generator) -> Values:
    x, delta = _unclipped_images(rng)
    for trigger in (delta, np.zeros_like(delta)):  # with nothing to add, x itself is no new tensor either
        done = run.student.call("apply_trigger", TensorArgument(x), TensorArgument(trigger))
        after_x, after_delta = done.arguments
        if not _same(after_x.array, x):
            raise Finding("x_changed")
        if not _same(after_delta.array, trigger):
            raise Finding("delta_changed")
        if after_x.flags.get("is_result") or after_delta.flags.get("is_result"):
            raise Finding("same_tensor")
    return None


@_check
def apply_trigger__is_differentiable(run: PartRun, rng: np.random.Generator) -> Values:
    x, delta = _unclipped_images(rng)
    weights = rng.normal(size=x.shape).astype(np.float32)
    arguments = (TensorArgument(x, requires_grad=True), TensorArgument(delta, requires_grad=True))
    done = run.student.call("apply_trigger", *arguments, backward=weights)
    grad_x, grad_delta = (state.gradient for state in done.arguments)
    if done.backward_error is not None and grad_x is None and grad_delta is None:
        raise Finding("gradient_lost", message=done.backward_error)
    # the result is x + delta here, so the weighted sum's gradient is the weights, summed over the batch for delta
    if grad_delta is None:
        raise Finding("no_grad_delta")
    if grad_x is None:
        raise Finding("no_grad_x")
    if not close(grad_delta, weights.sum(axis=0, keepdims=True, dtype=np.float64)):
        raise Finding("wrong_grad_delta")
    if not close(grad_x, weights):
        raise Finding("wrong_grad_x")
    return None


# --- poison_step -----------------------------------------------------------------------------------------------------


def _poison_step(
    run: PartRun,
    problem: LinearProblem,
    target: int,
    *,
    old_gradients: Mapping[str, np.ndarray] | None = None,
    old_delta_gradient: np.ndarray | None = None,
) -> Returned:
    return run.student.call(
        "poison_step",
        ModelArgument("linear_softmax", problem.parameters, problem.sizes, old_gradients),
        TensorArgument(problem.delta, requires_grad=True, grad=old_delta_gradient),
        TensorArgument(problem.x),
        TensorArgument(problem.y),
        target,
    )


def _mistakes(problem: LinearProblem, target: int, quantity: str) -> dict[str, np.ndarray]:
    """What each usual mistake gives for ``loss``, ``weight`` or ``delta``."""
    table = usual_mistakes(len(problem.y))
    return {key: np.asarray(getattr(problem.solve(target, terms), quantity)) for key, terms in table.items()}


def _model_gradient(done: Returned, name: str) -> np.ndarray:
    gradients = done.arguments[0].gradients
    missing = [n for n, g in gradients.items() if g is None]
    if missing:
        raise Finding("missing", names=missing)
    gradient = gradients[name]
    assert gradient is not None
    return gradient


def _delta_gradient(done: Returned) -> np.ndarray:
    gradient = done.arguments[1].gradient
    if gradient is None:
        raise Finding("missing")
    return gradient


def _telling_problem(rng: np.random.Generator, target: int) -> tuple[LinearProblem, dict[str, np.ndarray]]:
    """A problem with the losses of the usual mistakes in it, no two of them alike: where the two terms happen to be
    equal, one alone is their mean.
    """
    while True:
        problem = LinearProblem.draw(rng, target)
        # a negated loss still has the right gradients' names; only the terms are told apart here
        wrong = {
            k: v
            for k, v in _mistakes(problem, target, "loss").items()
            if k not in ("wrong_sign", "clean_term_twice", "triggered_term_twice")
        }
        losses = sorted([problem.solve(target).loss, *map(float, wrong.values())])
        if all(b > 1.02 * a for a, b in itertools.pairwise(losses)):
            return problem, wrong


@_check
def poison_step__returns_loss(run: PartRun, rng: np.random.Generator) -> Values:
    target = run.spec.invisible_trigger.target
    problem, wrong = _telling_problem(rng, target)
    found = _poison_step(run, problem, target).number(tensor_finding="returned_tensor")
    expected = problem.solve(target).loss
    require_close(np.asarray(found), np.asarray(expected), wrong, expected=expected, found=found)
    return None


@_check
def poison_step__model_gradients(run: PartRun, rng: np.random.Generator) -> Values:
    target = run.spec.invisible_trigger.target
    problem = LinearProblem.draw(rng, target)
    done = _poison_step(run, problem, target)
    right = problem.solve(target)
    found = _model_gradient(done, "linear.weight")
    for other in range(10):
        if other != target and close(found, problem.solve(other).weight):
            raise Finding("other_target", found=other, target=target)
    values: dict[str, Any] = {"layer": "linear.weight", "relative": _relative(found, right.weight)}
    require_close(found, right.weight, _mistakes(problem, target, "weight"), **values)
    found = _model_gradient(done, "linear.bias")
    require_close(found, right.bias, {}, layer="linear.bias", relative=_relative(found, right.bias))
    _check_on_lenet5(run, rng, of_delta=False)
    return None


def random_lenet5(rng: np.random.Generator, target: int) -> tuple[LeNet5, np.ndarray, np.ndarray, np.ndarray]:
    """(model, x (6, 1, 28, 28), y (6,), delta (1, 1, 28, 28)): untrained, and no pixel near the clamp's kink."""
    model = LeNet5()
    initialise(model, torch.Generator().manual_seed(int(rng.integers(2**31))))
    x = rng.uniform(0.3, 0.7, (6, 1, 28, 28)).astype(np.float32)
    delta = rng.uniform(-0.1, 0.1, (1, 1, 28, 28)).astype(np.float32)
    return model, x, labels_around(rng, target, 6), delta


def _check_on_lenet5(run: PartRun, rng: np.random.Generator, *, of_delta: bool) -> None:
    """The same on LeNet-5, where no closed form exists: by finite differences of the loss along a random direction.

    The model's gradients, or delta's: each is one check's question.
    """
    target = run.spec.invisible_trigger.target
    model, x, y, delta = random_lenet5(rng, target)
    parameters = {name: p.detach().contiguous().numpy() for name, p in model.named_parameters()}
    done = run.student.call(
        "poison_step", ModelArgument("lenet5", parameters), TensorArgument(delta, requires_grad=True),
        TensorArgument(x), TensorArgument(y), target,
    )  # fmt: skip
    point = (
        audited_model(model),
        torch.from_numpy(delta).double(),
        (torch.from_numpy(x).double(), torch.from_numpy(y)),
        target,
    )
    if of_delta:
        gradient = torch.from_numpy(_finite(_delta_gradient(done)))
        verdict = check_delta_gradient(*point, gradient=gradient, rng=rng)
    else:
        gradients = {name: torch.from_numpy(_finite(_model_gradient(done, name))) for name in parameters}
        verdict = check_gradients(*point, gradients=gradients, rng=rng)
    if not verdict.agrees:
        raise Finding("differs", layer="LeNet-5", relative=verdict.error)


@_check
def poison_step__delta_gradient(run: PartRun, rng: np.random.Generator) -> Values:
    target = run.spec.invisible_trigger.target
    problem = LinearProblem.draw(rng, target)
    found = _delta_gradient(_poison_step(run, problem, target))
    right = problem.solve(target).delta
    require_close(found, right, _mistakes(problem, target, "delta"), relative=_relative(found, right))
    _check_on_lenet5(run, rng, of_delta=True)
    _check_where_clipped(run, problem.at_the_edges(rng), target)
    return None


def _check_where_clipped(run: PartRun, problem: LinearProblem, target: int) -> None:
    """A step that adds delta by hand is right only where nothing is clipped, and the training clips.

    Not asked where ``apply_trigger`` itself does not clip as it should: that is its own check's fault.
    """
    weights = np.ones_like(problem.x)
    done = run.student.call(
        "apply_trigger", TensorArgument(problem.x), TensorArgument(problem.delta, requires_grad=True), backward=weights
    )  # fmt: skip
    shifted = problem.x + problem.delta
    inside = ((shifted > 0) & (shifted < 1)).sum(axis=0, keepdims=True)
    gradient = done.arguments[1].gradient
    if (
        not close(done.tensor(problem.x.shape), shifted.clip(0, 1))
        or gradient is None
        or not close(gradient, inside)
    ):
        return
    found, right = _delta_gradient(_poison_step(run, problem, target)), problem.solve(target).delta
    wrong = {"not_clipped": problem.solve(target, clipped=False).delta}
    require_close(found, right, wrong, relative=_relative(found, right))


@_check
def poison_step__clears_model_gradients(run: PartRun, rng: np.random.Generator) -> Values:
    target = run.spec.invisible_trigger.target
    problem = LinearProblem.draw(rng, target)
    old = {name: rng.normal(size=p.shape).astype(np.float32) for name, p in problem.parameters.items()}
    done = _poison_step(run, problem, target, old_gradients=old)
    right = problem.solve(target)
    for name, gradient in (("linear.weight", right.weight), ("linear.bias", right.bias)):
        require_close(_model_gradient(done, name), gradient, {"accumulated": gradient + old[name]})
    return None


@_check
def poison_step__clears_delta_gradient(run: PartRun, rng: np.random.Generator) -> Values:
    target = run.spec.invisible_trigger.target
    problem = LinearProblem.draw(rng, target)
    old = rng.normal(size=problem.delta.shape).astype(np.float32)
    found = _delta_gradient(_poison_step(run, problem, target, old_delta_gradient=old))
    right = problem.solve(target).delta
    require_close(found, right, {"accumulated": right + old})
    return None


@_check
def poison_step__honours_target(run: PartRun, rng: np.random.Generator) -> Values:
    usual = run.spec.invisible_trigger.target
    others = [k for k in range(1, 10) if k != usual]
    problem = LinearProblem.draw(rng, usual)
    for target in (0, *rng.permutation(others)[:2].tolist()):  # 0 is false in Python, and a class
        found = _model_gradient(_poison_step(run, problem, target), "linear.weight")
        if close(found, problem.solve(target).weight):
            continue
        for other in range(10):
            if close(found, problem.solve(other).weight):
                raise Finding("fixed_target", found=other)
        raise Finding("differs")
    return None


@_check
def poison_step__steps_nothing(run: PartRun, rng: np.random.Generator) -> Values:
    target = run.spec.invisible_trigger.target
    problem = LinearProblem.draw(rng, target)
    model, delta, x, y, _ = _poison_step(run, problem, target).arguments
    changed = [n for n, p in problem.parameters.items() if not _same(model.parameters.get(n), p)]
    if changed:
        raise Finding("parameters_changed", names=changed)
    for key, state, before in (("delta_changed", delta, problem.delta), ("x_changed", x, problem.x),
                               ("y_changed", y, problem.y)):  # fmt: skip
        if not _same(state.array, before):
            raise Finding(key)
    if not model.flags.get("training"):
        raise Finding("mode_changed")
    if not (model.flags.get("requires_grad") and delta.flags.get("requires_grad")):
        raise Finding("requires_grad_changed")
    return None


# --- small helpers ---------------------------------------------------------------------------------------------------


def _same(found: np.ndarray | None, before: np.ndarray) -> bool:
    """Bit for bit as it was."""
    return found is not None and found.dtype == before.dtype and np.array_equal(found, before)


def _finite(array: np.ndarray) -> np.ndarray:
    if not bool(np.isfinite(array).all()):
        raise Finding("not_finite", count=int((~np.isfinite(array)).sum()))
    return array


def _relative(found: np.ndarray, expected: np.ndarray) -> float:
    """Size of the difference over the size of the expected array; infinite where the shapes differ."""
    if found.shape != expected.shape:
        return float("inf")
    return float(np.linalg.norm(found - expected) / max(float(np.linalg.norm(expected)), 1e-12))
