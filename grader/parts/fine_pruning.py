"""Fine-Pruning's unit checks: the two rankings and the removal, judged on fresh random layers.

No check trains; the outcome is in ``fine_pruning_outcome.py``. The numbers that decide a ranking are drawn so far apart
that rounding cannot turn two of them round, and so that every usual mistake gives another order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from grader.calls import Finding, Returned, TensorArgument
from grader.parts.run import CheckFunction, PartRun, close, require_value_error

Values = Mapping[str, Any] | None
RULES = ("largest-weight", "dormant")
CHECKS: dict[str, CheckFunction] = {}


def _check(function: CheckFunction) -> CheckFunction:
    CHECKS[f"fine_pruning.{function.__name__.replace('__', '.')}"] = function
    return function


# --- rank_neurons ----------------------------------------------------------------------------------------------------


def _layer(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """incoming (D, F), activations (N, D), in both of which each of several measures gives an order of its own."""
    while True:
        incoming, activations = _draw_layer(rng)
        if _is_telling(_total_weight(incoming), _weight_mistakes(incoming, activations)) and _is_telling(
            activations.mean(0), _dormant_mistakes(incoming, activations)
        ):
            return incoming, activations


def _draw_layer(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    neurons, inputs, images = int(rng.integers(10, 15)), int(rng.integers(17, 24)), int(rng.integers(40, 60))
    # few large weights or many small ones, but at least one: L1, L2, maximum and sum disagree
    used = rng.random((neurons, inputs)) < rng.permutation(np.linspace(0.15, 1, neurons))[:, None]
    used[np.arange(neurons), rng.integers(inputs, size=neurons)] = True
    incoming = rng.normal(0, 1, (neurons, inputs)) * used
    incoming *= (_spaced(rng, neurons) / np.abs(incoming).sum(1))[:, None]
    # seldom and strong, or often and weak: mean, maximum and how often a neuron answers disagree
    often = rng.permutation(np.linspace(0.2, 0.95, neurons))
    activations = rng.exponential(1, (images, neurons)) * (rng.random((images, neurons)) < often)
    activations[0] += 0.1
    activations *= _spaced(rng, neurons) / activations.mean(0)
    return incoming.astype(np.float32), activations.astype(np.float32)


def _spaced(rng: np.random.Generator, count: int) -> np.ndarray:
    """(count,) numbers of 1 to 3 in a random order, no two of them close."""
    return rng.permutation(np.linspace(1, 3, count))


def _total_weight(incoming: np.ndarray) -> np.ndarray:
    return -np.abs(incoming).sum(1)


def _weight_mistakes(incoming: np.ndarray, activations: np.ndarray) -> Mapping[str, np.ndarray]:
    return {
        "signed_sum": -incoming.sum(1),
        "l2_norm": -np.linalg.norm(incoming, axis=1),
        "largest_entry": -np.abs(incoming).max(1),
        "other_rule": activations.mean(0),
    }


def _dormant_mistakes(incoming: np.ndarray, activations: np.ndarray) -> Mapping[str, np.ndarray]:
    return {
        "counts_answers": (activations > 0).mean(0),
        "largest_entry": activations.max(0),
        "median": np.median(activations, axis=0),
        "other_rule": _total_weight(incoming),
    }


def _order(measure: np.ndarray) -> np.ndarray:
    return np.argsort(measure, kind="stable")


def _is_telling(measure: np.ndarray, mistakes: Mapping[str, np.ndarray]) -> bool:
    """Whether no usual mistake gives the right order, nor the ranks do, as in one of 400 orders of ten numbers."""
    order = _order(measure)
    wrong = [_order(order), *map(_order, mistakes.values())]
    return not any(np.array_equal(order, other) for other in wrong)


def _rank(run: PartRun, incoming: np.ndarray, activations: np.ndarray, rule: str) -> Returned:
    return run.student.call("rank_neurons", TensorArgument(incoming), TensorArgument(activations), rule)


def _require_order(done: Returned, measure: np.ndarray, mistakes: Mapping[str, np.ndarray]) -> None:
    """The neurons by their measure, lowest first; in whatever type they are numbered: that is another check."""
    expected = _order(measure)
    found = done.tensor(measure.shape, None)
    if np.array_equal(found, expected):
        return
    if np.array_equal(found, expected[::-1]):
        raise Finding("reversed")
    if np.allclose(found, np.argsort(expected)):
        raise Finding("ranks_not_numbers")
    for key, other in mistakes.items():
        if np.array_equal(found, _order(other)):
            raise Finding(key)
    first = int(np.flatnonzero(found != expected)[0])
    raise Finding("differs", place=first + 1, found=f"{found[first]:g}", expected=int(expected[first]))


@_check
def rank_neurons__largest_weight(run: PartRun, rng: np.random.Generator) -> Values:
    incoming, activations = _layer(rng)
    done = _rank(run, incoming, activations, "largest-weight")
    _require_order(done, _total_weight(incoming), _weight_mistakes(incoming, activations))
    return None


@_check
def rank_neurons__dormant(run: PartRun, rng: np.random.Generator) -> Values:
    incoming, activations = _layer(rng)
    done = _rank(run, incoming, activations, "dormant")
    _require_order(done, activations.mean(0), _dormant_mistakes(incoming, activations))
    return None


@_check
def rank_neurons__names_each_once(run: PartRun, rng: np.random.Generator) -> Values:
    incoming, activations = _layer(rng)
    # ties of every kind: equal rows, dead neurons
    incoming[1::3] = incoming[0]
    activations[:, 2::3] = 0
    activations[:, 1::6] = activations[:, :1]
    for rule in RULES:
        done = _rank(run, incoming, activations, rule)
        found = done.tensor((len(incoming),), "int64")
        missing = sorted(set(range(len(incoming))) - set(found.tolist()))
        if missing or len(found) != len(set(found.tolist())):
            raise Finding("not_each_once", rule=rule, missing=missing)
        for state, before in zip(done.arguments, (incoming, activations), strict=False):
            if not np.array_equal(_array(state.array), before):
                raise Finding("inputs_changed")
    return None


@_check
def rank_neurons__rejects_other_rules(run: PartRun, rng: np.random.Generator) -> Values:
    incoming, activations = _layer(rng)
    for rule in ("smallest-weight", "Dormant", ""):
        require_value_error(lambda rule=rule: _rank(run, incoming, activations, rule), rule=rule)  # type: ignore[misc]
    return None


# --- prune_and_compress ----------------------------------------------------------------------------------------------


def _network(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """w_in (D, F), b_in (D,), w_out (K, D); no two of D, F and K are equal."""
    neurons, inputs, classes = int(rng.integers(11, 16)), int(rng.integers(6, 10)), int(rng.integers(3, 6))
    w_in = rng.normal(0, 1, (neurons, inputs))
    # biases large enough that a neuron answers by its bias alone
    return tuple(
        a.astype(np.float32)
        for a in (w_in, rng.normal(0.5, 1, neurons), rng.normal(0, 1, (classes, neurons)))
    )  # type: ignore[return-value]


def _prune(run: PartRun, network: tuple[np.ndarray, ...], neurons: np.ndarray) -> Returned:
    arguments = (TensorArgument(a) for a in (*network, neurons.astype(np.int64)))
    return run.student.call("prune_and_compress", *arguments)


def _smaller(done: Returned, network: tuple[np.ndarray, ...], pruned: int) -> list[np.ndarray]:
    """The three returned tensors, after their shapes were checked."""
    left = len(network[0]) - pruned
    shapes = ((left, network[0].shape[1]), (left,), (len(network[2]), left))
    return [item.tensor(shape) for item, shape in zip(done.items(3), shapes, strict=True)]


@_check
def prune_and_compress__really_smaller(run: PartRun, rng: np.random.Generator) -> Values:
    network = _network(rng)
    for pruned in (3, 1):
        done = _prune(run, network, rng.choice(len(network[0]), pruned, replace=False))
        found = [i.arrays[i.result["tensor"]].shape if "tensor" in i.result else None for i in done.items(3)]
        if found == [a.shape for a in network]:
            raise Finding("same_size")
        if found[0] == (pruned, network[0].shape[1]):
            raise Finding("kept_the_pruned")
        _smaller(done, network, pruned)
    return None


@_check
def prune_and_compress__same_outputs(run: PartRun, rng: np.random.Generator) -> Values:
    network = _network(rng)
    size = len(network[0])
    largest = 0.0
    for pruned in (4, 0, size - 1, 1):
        neurons = rng.choice(size, pruned, replace=False)
        neurons = neurons if pruned != 4 else np.sort(neurons)[::-1].copy()  # any order, downwards too
        done = _prune(run, network, neurons)
        smaller = _smaller(done, network, pruned)
        for state, before in zip(done.arguments, (*network, neurons), strict=True):
            if not np.array_equal(_array(state.array), before):
                raise Finding("inputs_changed")
        largest = max(largest, _require_same_outputs(network, smaller, neurons, rng))
    return {"difference": largest}


def _require_same_outputs(
    network: tuple[np.ndarray, ...], smaller: list[np.ndarray], neurons: np.ndarray, rng: np.random.Generator
) -> float:
    """Logits of the smaller network as with these activations at zero; returns the largest difference, relative."""
    h = rng.normal(0, 1, (50, network[0].shape[1]))
    stays = np.setdiff1d(np.arange(len(network[1])), neurons)
    expected = _logits(h, *(network[0][stays], network[1][stays], network[2][:, stays]))
    found = _logits(h, *smaller)
    scale = max(float(np.abs(expected).max()), 1e-6)
    difference = float(np.abs(found - expected).max()) / scale
    if close(found, expected, tolerance=1e-5):
        return difference
    place = {row.tobytes(): i for i, row in enumerate(network[0])}
    kept = [place.get(row.tobytes()) for row in smaller[0]]
    if sorted(k for k in kept if k is not None) != stays.tolist():
        raise Finding("other_neurons", difference=difference)
    if not np.array_equal(smaller[1], network[1][np.array(kept, int)]):
        raise Finding("biases", difference=difference)
    raise Finding("outgoing", difference=difference)


def _logits(h: np.ndarray, w_in: np.ndarray, b_in: np.ndarray, w_out: np.ndarray) -> np.ndarray:
    """Without b_out, which belongs to no neuron."""
    return np.maximum(h @ w_in.T.astype(np.float64) + b_in, 0) @ w_out.T.astype(np.float64)


@_check
def prune_and_compress__leaves_one(run: PartRun, rng: np.random.Generator) -> Values:
    network = _network(rng)
    everything = rng.permutation(len(network[0]))
    require_value_error(lambda: _prune(run, network, everything))
    _smaller(_prune(run, network, everything[:-1]), network, len(everything) - 1)
    return None


def _array(array: np.ndarray | None) -> np.ndarray:
    assert array is not None
    return array
