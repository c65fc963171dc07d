"""Activation Clustering's unit checks: splitting, flagging and relabelling, judged on made-up activations.

The groups are clouds of points whose distances and sizes are known, so the truth is known without any clustering. No
check trains; the outcome is in ``activation_clustering_outcome.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from grader.calls import Finding, Returned, TensorArgument
from grader.parts.run import CheckFunction, PartRun

Values = Mapping[str, Any] | None
CHECKS: dict[str, CheckFunction] = {}
F1_LEAST = 0.98
"""Of made-up poison: it stands so far apart that everything of it can be found."""
FALSE_ALARMS = 0.02
"""Share of clean images that may be flagged."""


def _check(function: CheckFunction) -> CheckFunction:
    CHECKS[f"activation_clustering.{function.__name__.replace('__', '.')}"] = function
    return function


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


def _call(run: PartRun, function: str, *arguments: TensorArgument | int) -> Returned:
    """With the time that clustering may take: the first call may import scikit-learn."""
    return run.student.call(function, *arguments, seconds=run.spec.activation_clustering.flag_seconds)


def _unchanged(done: Returned, *before: np.ndarray) -> None:
    for state, array in zip(done.arguments, before, strict=False):
        if state.array is None or not np.array_equal(state.array, array):
            raise Finding("inputs_changed")


# --- cluster_class ---------------------------------------------------------------------------------------------------


def _two_groups(
    rng: np.random.Generator, dimensions: int, *, smaller: float
) -> tuple[np.ndarray, np.ndarray]:
    """features (n, D), all >= 0, a third of them dead, in two clouds far apart; which cloud, (n,) bool."""
    count = int(rng.integers(150, 200))
    second = np.zeros(count, bool)
    second[rng.choice(count, round(smaller * count), replace=False)] = True
    dead = rng.permutation(dimensions) < dimensions // 3
    direction = rng.normal(0, 1, dimensions) * ~dead
    direction *= 20 / np.linalg.norm(direction)
    features = 30 + rng.normal(0, 1, (count, dimensions)) + second[:, None] * direction
    features[:, dead] = 0
    return features.astype(np.float32), second


def _clusters(done: Returned, count: int) -> np.ndarray:
    found = done.tensor((count,), "int64")
    if not bool(np.isin(found, (0, 1)).all()):
        raise Finding("not_zero_one", found=sorted(set(found.tolist()))[:5])
    return found


@_check
def cluster_class__separates_groups(run: PartRun, rng: np.random.Generator) -> Values:
    for dimensions, smaller in ((84, 0.3), (6, 0.45), (40, 0.15)):
        features, second = _two_groups(rng, dimensions, smaller=smaller)
        done = _call(run, "cluster_class", TensorArgument(features), _seed(rng))
        found = _clusters(done, len(features))
        agreement = float(np.mean(found == second))
        agreement = max(agreement, 1 - agreement)
        if len(set(found.tolist())) == 1:
            raise Finding("one_cluster")
        if not agreement >= 0.99:
            raise Finding("mixed", share=agreement, dimensions=dimensions)
    return None


@_check
def cluster_class__repeats_itself(run: PartRun, rng: np.random.Generator) -> Values:
    # one cloud without any structure: where it is cut is up to chance, and so to the seed
    features = np.abs(rng.normal(0, 1, (120, 30))).astype(np.float32)
    seed = _seed(rng)
    results = []
    for _ in range(3):
        done = _call(run, "cluster_class", TensorArgument(features), seed)
        results.append(done.tensor((len(features),), None))
        _unchanged(done, features)
    if not all(np.array_equal(results[0], other) for other in results[1:]):
        raise Finding("seed_ignored")
    return None


# --- flag_poisoned ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Set:
    """A training set's activations: features (N, D) float32, labels (N,) int64, poisoned (N,) bool, in random order."""

    features: np.ndarray
    labels: np.ndarray
    poisoned: np.ndarray


def _training_set(rng: np.random.Generator, sizes: Mapping[int, int], poison: Mapping[int, int]) -> _Set:
    """Clean classes are round clouds; poison is a wider cloud far away, in the classes and numbers of ``poison``."""
    dimensions = 40
    parts, labels, poisoned = [], [], []
    for label, count in sizes.items():
        centre = rng.uniform(10, 14, dimensions)
        parts.append(centre + rng.normal(0, 1, (count, dimensions)))
        bad = poison.get(label, 0)
        away = rng.normal(0, 1, dimensions)
        away *= 32 / np.linalg.norm(away)
        parts.append(centre + away + rng.normal(0, 2.2, (bad, dimensions)))
        labels += [label] * (count + bad)
        poisoned += [False] * count + [True] * bad
    order = rng.permutation(len(labels))
    features = np.maximum(np.concatenate(parts) + 20, 0).astype(np.float32)
    return _Set(features[order], np.array(labels, np.int64)[order], np.array(poisoned)[order])


def _flag(run: PartRun, rng: np.random.Generator, data: _Set) -> np.ndarray:
    arguments = (TensorArgument(data.features), TensorArgument(data.labels), _seed(rng))
    done = _call(run, "flag_poisoned", *arguments)
    found = done.tensor(data.labels.shape, "bool")
    _unchanged(done, data.features, data.labels)
    return found


def f1_score(flagged: np.ndarray, poisoned: np.ndarray) -> float:
    """Of the flags, both (N,) bool; 0 where nothing was found."""
    hits = int((flagged & poisoned).sum())
    return 2 * hits / max(int(flagged.sum()) + int(poisoned.sum()), 1)


@_check
def flag_poisoned__finds_poison(run: PartRun, rng: np.random.Generator) -> Values:
    # class 3 does not occur, and the classes are of different sizes
    data = _training_set(rng, {0: 160, 1: 220, 2: 190, 4: 250, 5: 130}, {4: 70})
    found = _flag(run, rng, data)
    score = f1_score(found, data.poisoned)
    if score >= F1_LEAST:
        return None
    if not bool(found.any()):
        raise Finding("nothing_flagged", poisoned=int(data.poisoned.sum()))
    if f1_score(found, (data.labels == 4) & ~data.poisoned) > 0.9:
        raise Finding("other_cluster")
    if f1_score(found, data.labels == 4) > 0.9:
        raise Finding("whole_class")
    if bool(found[data.poisoned].mean() < 0.7) and abs(int(found.sum()) - int(data.poisoned.sum())) <= 5:
        raise Finding("misplaced", right=int((found & data.poisoned).sum()), flagged=int(found.sum()))
    raise Finding("differs", f1=score, right=int((found & data.poisoned).sum()), flagged=int(found.sum()),
                  poisoned=int(data.poisoned.sum()))  # fmt: skip


@_check
def flag_poisoned__spares_clean_classes(run: PartRun, rng: np.random.Generator) -> Values:
    clean = _training_set(rng, {0: 160, 1: 220, 2: 190, 3: 130}, {})
    found = _flag(run, rng, clean)
    if not found.mean() <= FALSE_ALARMS:
        raise Finding("false_alarms", count=int(found.sum()), total=len(found))
    # beside the clean classes a class of 6 + 5 images: too few to say anything
    small = _training_set(rng, {0: 160, 1: 220, 2: 190, 7: 6}, {7: 5})
    found = _flag(run, rng, small)
    if bool(found[small.labels == 7].any()):
        raise Finding("small_class", count=int(found[small.labels == 7].sum()))
    if not found.mean() <= FALSE_ALARMS:
        raise Finding("false_alarms", count=int(found.sum()), total=len(found))
    return None


# --- scramble_labels -------------------------------------------------------------------------------------------------


def _scramble(
    run: PartRun, labels: np.ndarray, flagged: np.ndarray, classes: int, seed: int
) -> tuple[np.ndarray, Returned]:
    done = run.student.call("scramble_labels", TensorArgument(labels), TensorArgument(flagged), classes, seed)
    return done.tensor(labels.shape, "int64"), done


@_check
def scramble_labels__relabels_flagged(run: PartRun, rng: np.random.Generator) -> Values:
    for classes, share in ((7, 0.4), (2, 0.5), (10, 0.0), (3, 1.0)):
        labels = rng.integers(0, classes, 400)
        flagged = rng.random(400) < share
        found, done = _scramble(run, labels, flagged, classes, _seed(rng))
        outside = (found < 0) | (found >= classes)
        if bool(outside.any()):
            raise Finding("outside", count=int(outside.sum()), classes=classes, largest=classes - 1)
        if bool((found[~flagged] != labels[~flagged]).any()):
            raise Finding("others_changed", count=int((found[~flagged] != labels[~flagged]).sum()))
        if bool((found[flagged] == labels[flagged]).any()):
            kept = int((found[flagged] == labels[flagged]).sum())
            raise Finding("kept", count=kept, total=int(flagged.sum()))
        _unchanged(done, labels, flagged)
    return None


@_check
def scramble_labels__spreads_labels(run: PartRun, rng: np.random.Generator) -> Values:
    classes, count = 5, 4000
    labels = rng.integers(0, classes, count)
    flagged = np.ones(count, bool)
    seed = _seed(rng)
    first, _ = _scramble(run, labels, flagged, classes, seed)
    if not np.array_equal(first, _scramble(run, labels, flagged, classes, seed)[0]):
        raise Finding("not_repeatable")
    if np.array_equal(first, _scramble(run, labels, flagged, classes, seed + 1)[0]):
        raise Finding("seed_ignored")
    for label in range(classes):
        drawn = np.bincount(first[labels == label], minlength=classes)
        others = np.delete(drawn, label) / drawn.sum()
        # one in four, give or take 6 standard deviations of 800 draws
        if not bool((np.abs(others - 0.25) <= 6 * np.sqrt(0.25 * 0.75 / drawn.sum())).all()):
            raise Finding("not_even", label=label, least=float(others.min()), most=float(others.max()))
    return None
