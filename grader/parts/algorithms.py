"""Part 3's functions of a submission, as the defences of the lab take them: tensors in, tensors of a known form out.

Whatever is wrong with an answer is a ``Finding``; that a form is right says nothing of what is in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from grader.calls import Argument, Finding, Returned, TensorArgument
from grader.student import StudentModule


@dataclass(frozen=True)
class StudentAlgorithm:
    """Fine-Pruning or Activation Clustering of a submission.

    Attributes:
        student: the file in a step server.
        seconds: how long one call may take; None is the spec's usual time.
    """

    student: StudentModule
    seconds: float | None = None

    def rank_neurons(self, incoming: Tensor, activations: Tensor, rule: str) -> Tensor:
        """int64 (D,), each neuron once."""
        order = self._tensor("rank_neurons", (len(incoming),), "int64", incoming, activations, rule)
        if sorted(order.tolist()) != list(range(len(incoming))):
            raise Finding("not_a_ranking", neurons=len(incoming))
        return order

    def prune_and_compress(
        self, w_in: Tensor, b_in: Tensor, w_out: Tensor, neurons: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The smaller (w_in, b_in, w_out)."""
        left = len(b_in) - len(neurons)
        shapes = ((left, w_in.shape[1]), (left,), (len(w_out), left))
        items = self._call("prune_and_compress", w_in, b_in, w_out, neurons).items(3)
        found = [
            torch.from_numpy(item.tensor(shape).copy()) for item, shape in zip(items, shapes, strict=True)
        ]
        return found[0], found[1], found[2]

    def cluster_class(self, features: Tensor, seed: int) -> Tensor:
        """int64 (n,)."""
        return self._tensor("cluster_class", (len(features),), "int64", features, seed)

    def flag_poisoned(self, features: Tensor, labels: Tensor, seed: int) -> Tensor:
        """bool (N,)."""
        return self._tensor("flag_poisoned", (len(features),), "bool", features, labels, seed)

    def scramble_labels(self, labels: Tensor, flagged: Tensor, num_classes: int, seed: int) -> Tensor:
        """int64 (N,), each a class."""
        found = self._tensor("scramble_labels", (len(labels),), "int64", labels, flagged, num_classes, seed)
        if not bool(((found >= 0) & (found < num_classes)).all()):
            raise Finding("no_class", classes=num_classes)
        return found

    def _tensor(self, function: str, shape: tuple[int, ...], dtype: str, *values: Any) -> Tensor:
        return torch.from_numpy(self._call(function, *values).tensor(shape, dtype).copy())

    def _call(self, function: str, *values: Any) -> Returned:
        return self.student.call(function, *(_argument(value) for value in values), seconds=self.seconds)


def _argument(value: Tensor | int | str) -> Argument:
    return TensorArgument(value.detach().cpu().numpy()) if isinstance(value, Tensor) else value
