"""Losses and gradients of the joint objective in closed form, on a linear-softmax model small enough to have one.

With logits z = W vec(x) + b, the cross-entropy's gradient with respect to z is softmax(z) - onehot(label), and
everything else follows by the chain rule: NumPy in float64, no autograd and no student code. The objective is a sum
of four terms, so that every usual mistake is another combination of the same four and can be told by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

# What students make of CE(f(x), y) + CE(f(x + delta), target): finding key -> weights of
# (clean images, true label), (clean, target), (triggered, true label), (triggered, target). N is the batch size.
Combination = tuple[float, float, float, float]
RIGHT: Combination = (1, 0, 0, 1)


def usual_mistakes(batch_size: int) -> dict[str, Combination]:
    """The usual wrong objectives by the finding that names them."""
    n = batch_size
    return {
        "mean_of_terms": (0.5, 0, 0, 0.5),
        "sum_over_batch": (n, 0, 0, n),
        "clean_term_only": (1, 0, 0, 0),
        "triggered_term_only": (0, 0, 0, 1),
        "clean_term_twice": (2, 0, 0, 1),
        "triggered_term_twice": (1, 0, 0, 2),
        "wrong_sign": (-1, 0, 0, -1),
        "true_label_in_triggered_term": (1, 0, 1, 0),
        "target_in_clean_term": (0, 1, 0, 1),
    }


def labels_around(rng: np.random.Generator, target: int, count: int, classes: int = 10) -> np.ndarray:
    """(count,) int64 labels: one or two images of the target class, in random places, and others."""
    others = rng.integers(0, classes - 1, count)
    labels = others + (others >= target)
    labels[rng.choice(count, int(rng.integers(1, 3)), replace=False)] = target
    return labels


@dataclass(frozen=True)
class Gradients:
    """Value and gradients of an objective; arrays are float64."""

    loss: float
    weight: np.ndarray
    bias: np.ndarray
    delta: np.ndarray

    def __add__(self, other: Gradients) -> Gradients:
        return Gradients(
            self.loss + other.loss,
            self.weight + other.weight,
            self.bias + other.bias,
            self.delta + other.delta,
        )

    def scaled(self, factor: float) -> Gradients:
        return Gradients(factor * self.loss, factor * self.weight, factor * self.bias, factor * self.delta)


@dataclass(frozen=True)
class LinearProblem:
    """A batch, a trigger and a linear-softmax model; as drawn, no sum x + delta is clipped.

    Attributes:
        x: (N, C, H, W) float32; delta: (1, C, H, W) float32; y: (N,) int64.
        weight: (K, C*H*W) float32; bias: (K,) float32.
    """

    x: np.ndarray
    delta: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    bias: np.ndarray

    @classmethod
    def draw(cls, rng: np.random.Generator, target: int, *, classes: int = 10) -> LinearProblem:
        """A fresh one, with images of the target class and of others: a step may not treat them differently."""
        n, c, h, w = int(rng.integers(6, 12)), 1, int(rng.integers(5, 8)), int(rng.integers(5, 8))
        return cls(
            x=rng.uniform(0.3, 0.7, (n, c, h, w)).astype(np.float32),
            delta=rng.uniform(-0.1, 0.1, (1, c, h, w)).astype(np.float32),
            y=labels_around(rng, target, n, classes),
            weight=rng.normal(0, 0.5, (classes, c * h * w)).astype(np.float32),
            bias=rng.normal(0, 0.5, classes).astype(np.float32),
        )

    def at_the_edges(self, rng: np.random.Generator) -> LinearProblem:
        """The same with black and white images and a wider trigger: about half of the sums are clipped, well beyond
        [0, 1] or well inside, so that no gradient is asked for on the clamp's kink.
        """
        dark = rng.random(self.x.shape) < 0.5
        x = np.where(dark, 0, 1) + np.where(dark, 1, -1) * rng.uniform(0, 0.05, self.x.shape)
        delta = rng.choice([-1, 1], self.delta.shape) * rng.uniform(0.1, 0.2, self.delta.shape)
        return replace(self, x=x.astype(np.float32), delta=delta.astype(np.float32))

    @property
    def sizes(self) -> dict[str, int]:
        """Keyword arguments of ``LinearSoftmax``."""
        _, c, h, w = self.x.shape
        return {"channels": c, "height": h, "width": w, "num_classes": len(self.bias)}

    @property
    def parameters(self) -> Mapping[str, np.ndarray]:
        return {"linear.weight": self.weight, "linear.bias": self.bias}

    def solve(self, target: int, combination: Combination = RIGHT, *, clipped: bool = True) -> Gradients:
        """Value and gradients of a combination of the four terms; ``clipped=False`` leaves x + delta as it is."""
        targets = np.full_like(self.y, target)
        shifted = self.x + self.delta
        triggered = shifted.clip(0, 1) if clipped else shifted
        carries = triggered == shifted  # nothing of delta reaches a pixel that is clipped
        terms = (
            self._cross_entropy(self.x, self.y),
            self._cross_entropy(self.x, targets),
            self._cross_entropy(triggered, self.y, carries),
            self._cross_entropy(triggered, targets, carries),
        )
        total = terms[0].scaled(combination[0])
        for term, factor in zip(terms[1:], combination[1:], strict=True):
            total = total + term.scaled(factor)
        return total

    def _cross_entropy(
        self, images: np.ndarray, labels: np.ndarray, carries: np.ndarray | None = None
    ) -> Gradients:
        """The batch mean of the cross-entropy.

        Args:
            carries: the pixels that move with delta, in the images' shape; None for clean images.
        """
        n = len(labels)
        flat = images.reshape(n, -1).astype(np.float64)
        logits = flat @ self.weight.T.astype(np.float64) + self.bias
        logits -= logits.max(axis=1, keepdims=True)
        log_softmax = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        error = np.exp(log_softmax)
        error[np.arange(n), labels] -= 1
        error /= n
        pixels = (error @ self.weight).reshape(images.shape) * (0.0 if carries is None else carries)
        return Gradients(
            loss=float(-log_softmax[np.arange(n), labels].mean()),
            weight=error.T @ flat,
            bias=error.sum(axis=0),
            delta=pixels.sum(axis=0, keepdims=True),
        )
