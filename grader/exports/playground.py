"""What the report page's playground needs: the backdoored LeNet-5, its trigger and a few test images, as JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from grader import messages
from grader.exports import ExportError

SIDE = 28
# As in grader/lab/models.py, which this module must not import (it loads torch); a test compares the two.
MEAN, STD = 0.1307, 0.3081
SHAPES: Mapping[str, tuple[int, ...]] = {
    "conv1.weight": (6, 1, 5, 5),
    "conv1.bias": (6,),
    "conv2.weight": (16, 6, 5, 5),
    "conv2.bias": (16,),
    "fc1.weight": (120, 400),
    "fc1.bias": (120,),
    "fc2.weight": (84, 120),
    "fc2.bias": (84,),
    "fc3.weight": (10, 84),
    "fc3.bias": (10,),
}
_MESSAGES = ("empty", "same", "turned", "target", "sample", "strength")


@dataclass(frozen=True, eq=False)
class Playground:
    """A trained attack to play with.

    Attributes:
        weights: LeNet-5's parameters by name (``SHAPES``), float32 arrays in any memory order.
        delta: the trigger, 28x28 values (leading dimensions of size 1 are fine).
        images: clean test images in [0, 1], (K, 28, 28) or (K, 1, 28, 28).
        labels: their K true classes.
        target: the class that the trigger calls for.
        epsilon: the bound on delta, in pixel units.

    Raises:
        ExportError: a weight is missing or too many, or something has another shape, is not finite or out of range.
    """

    weights: Mapping[str, np.ndarray]
    delta: np.ndarray
    images: np.ndarray
    labels: Sequence[int]
    target: int
    epsilon: float

    def __post_init__(self) -> None:
        if self.weights.keys() != SHAPES.keys():
            differing = ", ".join(sorted(self.weights.keys() ^ SHAPES.keys()))
            raise ExportError(f"playground: these are not LeNet-5's weights: {differing}")
        for name, shape in SHAPES.items():
            if self.weights[name].shape != shape:
                raise ExportError(f"playground: {name} has the shape {self.weights[name].shape}, not {shape}")
        if self.delta.size != SIDE * SIDE:
            raise ExportError(f"playground: delta has {self.delta.size} values, not {SIDE * SIDE}")
        if self.images.size != len(self.labels) * SIDE * SIDE:
            raise ExportError("playground: images and labels do not fit")
        for name, array in {**self.weights, "delta": self.delta, "images": self.images}.items():
            if not bool(np.isfinite(array).all()):
                raise ExportError(f"playground: {name} has values that are not finite")
        if not bool(((self.images >= 0) & (self.images <= 1)).all()):
            raise ExportError("playground: images must lie in [0, 1]")
        if not 0 <= self.target < SHAPES["fc3.bias"][0] or not self.epsilon > 0:
            raise ExportError("playground: target or epsilon is out of range")

    def to_json(self, language: str) -> str:
        """Everything that ``playground.js`` reads, safe inside a ``<script>`` element."""
        images = np.rint(np.asarray(self.images, np.float64) * 255).astype(np.uint8)
        data = {
            "weights": {name: _float32(self.weights[name]) for name in SHAPES},
            "delta": _float32(self.delta),
            "images": _base64(images.tobytes()),
            "labels": [int(label) for label in self.labels],
            "target": int(self.target),
            "epsilon": float(self.epsilon),
            "mean": MEAN,
            "std": STD,
            "texts": {key: messages.template(f"playground.{key}", language) for key in _MESSAGES},
        }
        text = json.dumps(data, ensure_ascii=True, allow_nan=False)
        return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _float32(array: np.ndarray) -> str:
    """Little-endian float32 in C order."""
    return _base64(np.ascontiguousarray(array, dtype="<f4").tobytes())


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
