"""Feature extractors small enough that their gradients, and the best poison there is, are known: NumPy in float64.

With h = tanh(W vec(x) + c) (or without the tanh) the gradient of |h - t|^2 follows by the chain rule. Without the tanh
the whole objective is a least-squares problem with bounds on every pixel, which has one answer; SciPy finds it by
another method than the exercise's. No autograd here and no student code.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grader.calls import FeaturesArgument


@dataclass(frozen=True)
class SmallExtractor:
    """tanh(W vec(x) + c), or W vec(x) + c alone.

    Attributes:
        weight: (D, C*H*W) float32; bias: (D,) float32; shape: (C, H, W).
    """

    weight: np.ndarray
    bias: np.ndarray
    shape: tuple[int, int, int]
    tanh: bool

    @classmethod
    def draw(cls, rng: np.random.Generator, *, tanh: bool, scale: float = 1.0) -> SmallExtractor:
        """A fresh one with images of odd sizes; ``scale`` is about the largest singular value of W."""
        shape = (int(rng.integers(2, 4)), int(rng.integers(4, 6)), int(rng.integers(6, 8)))
        pixels, dim = int(np.prod(shape)), int(rng.integers(11, 15))
        weight = rng.normal(0, scale / (np.sqrt(pixels) + np.sqrt(dim)), (dim, pixels))
        # centred: mid-grey has small features, where a tanh is not flat
        bias = -0.5 * weight.sum(1) + rng.normal(0, 0.2, dim)
        return cls(weight.astype(np.float32), bias.astype(np.float32), shape, tanh)

    @property
    def argument(self) -> FeaturesArgument:
        channels, height, width = self.shape
        dim = len(self.bias)
        state = {
            "linear.weight": self.weight,
            "linear.bias": self.bias,
            "head.weight": np.zeros((10, dim), np.float32),
            "head.bias": np.zeros(10, np.float32),
        }
        sizes = {"channels": channels, "height": height, "width": width, "dim": dim}
        return FeaturesArgument("tanh_features" if self.tanh else "linear_features", state, sizes)

    @property
    def safe_step(self) -> float:
        """1 / L of the linear form: up to here a gradient step never makes its distance worse."""
        return 1 / (2 * float(np.linalg.norm(self.weight, 2)) ** 2)

    def features(self, x: np.ndarray) -> np.ndarray:
        """(N, C, H, W) -> (N, D), float64."""
        z = x.reshape(len(x), -1).astype(np.float64) @ self.weight.T + self.bias
        return np.tanh(z) if self.tanh else z

    def distance(self, x: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """|f(x) - t|^2 of each image, (N,)."""
        return ((self.features(x) - targets) ** 2).sum(axis=1)

    def gradient(self, x: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Of ``distance`` in each image, (N, C, H, W)."""
        h = self.features(x)
        error = 2 * (h - targets)
        if self.tanh:
            error = error * (1 - h**2)
        return (error @ self.weight).reshape(x.shape)

    def objective(self, x: np.ndarray, bases: np.ndarray, targets: np.ndarray, beta: float) -> np.ndarray:
        """|f(x) - t|^2 + (beta / 2) |x - b|^2 of each image, (N,)."""
        pull = ((x.astype(np.float64) - bases) ** 2).reshape(len(x), -1).sum(axis=1)
        return self.distance(x, targets) + beta / 2 * pull

    def best_poisons(
        self, bases: np.ndarray, targets: np.ndarray, beta: float, epsilon: float | None
    ) -> np.ndarray:
        """The minimum of the objective within [0, 1] and epsilon, (N, C, H, W): of the linear form only."""
        from scipy.optimize import lsq_linear

        assert not self.tanh
        flat = bases.reshape(len(bases), -1).astype(np.float64)
        radius = 1.0 if epsilon is None else epsilon
        pixels = flat.shape[1]
        matrix = np.concatenate([self.weight.astype(np.float64), np.sqrt(beta / 2) * np.eye(pixels)])
        found = []
        for b, t in zip(flat, targets, strict=True):
            right = np.concatenate([t - self.bias, np.sqrt(beta / 2) * b])
            bounds = (np.maximum(0, b - radius) - 1e-12, np.minimum(1, b + radius) + 1e-12)
            found.append(lsq_linear(matrix, right, bounds, method="bvls").x)
        return np.stack(found).reshape(bases.shape)
