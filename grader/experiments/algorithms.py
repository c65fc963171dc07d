"""A submission's algorithms for the lab: its functions run in the sandbox, as grading runs them.

The defences of ``grader/lab/defences`` take an ``Algorithm``; ``of_submission`` makes one of a student's file.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader.experiments.common import ExperimentProblem

if TYPE_CHECKING:
    from torch import Tensor

    from grader.calls import Argument, Finding, Returned
    from grader.student import StudentModule

NAMES = ("fine_pruning", "activation_clustering")
CALL_SECONDS = 120.0
"""How long one call may take: 60,000 images are clustered in a few seconds, on a busy machine in more."""


class Submitted:
    """Calls a submission's functions; what is wrong with them becomes an ``ExperimentProblem``.

    Args:
        name: the part.
        student: its file in a step server.
        seconds: how long one call may take.
    """

    def __init__(self, name: str, student: StudentModule, seconds: float = CALL_SECONDS) -> None:
        self._name = name
        self._student = student
        self._seconds = seconds

    def _tensor(self, function: str, shape: tuple[int, ...], dtype: str, *values: Any) -> Tensor:
        import torch

        with self._explained(function):
            return torch.from_numpy(self._call(function, *values).tensor(shape, dtype))

    def _call(self, function: str, *values: Any) -> Returned:
        return self._student.call(function, *(_argument(value) for value in values), seconds=self._seconds)

    @contextlib.contextmanager
    def _explained(self, function: str) -> Iterator[None]:
        """Turn what was found wrong with the submission into one line."""
        from grader.calls import Finding

        try:
            yield
        except Finding as finding:
            raise ExperimentProblem(
                f"{function} of {self._name}.py: {_in_words(finding, function)}"
            ) from None


class SubmittedAlgorithm(Submitted):
    """The functions of ``fine_pruning.py`` and ``activation_clustering.py``, as the assignment describes them."""

    def rank_neurons(self, incoming: Tensor, activations: Tensor, rule: str) -> Tensor:
        """Fine-Pruning: int64 (D,)."""
        return self._tensor("rank_neurons", (len(incoming),), "int64", incoming, activations, rule)

    def prune_and_compress(
        self, w_in: Tensor, b_in: Tensor, w_out: Tensor, neurons: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Fine-Pruning: the smaller (w_in, b_in, w_out)."""
        import torch

        left = len(b_in) - len(neurons)
        shapes = ((left, w_in.shape[1]), (left,), (len(w_out), left))
        with self._explained("prune_and_compress"):
            found = self._call("prune_and_compress", w_in, b_in, w_out, neurons).items(3)
            arrays = [item.tensor(shape) for item, shape in zip(found, shapes, strict=True)]
        first, second, third = (torch.from_numpy(array) for array in arrays)
        return first, second, third

    def cluster_class(self, features: Tensor, seed: int) -> Tensor:
        """Activation Clustering: int64 (n,), 0 or 1."""
        return self._tensor("cluster_class", (len(features),), "int64", features, seed)

    def flag_poisoned(self, features: Tensor, labels: Tensor, seed: int) -> Tensor:
        """Activation Clustering: bool (N,)."""
        return self._tensor("flag_poisoned", (len(features),), "bool", features, labels, seed)

    def scramble_labels(self, labels: Tensor, flagged: Tensor, num_classes: int, seed: int) -> Tensor:
        """Activation Clustering: int64 (N,), each a class."""
        found = self._tensor("scramble_labels", (len(labels),), "int64", labels, flagged, num_classes, seed)
        if len(found) and not bool(((found >= 0) & (found < num_classes)).all()):
            raise ExperimentProblem(f"scramble_labels of {self._name}.py gave labels outside of the classes")
        return found


@contextlib.contextmanager
def of_submission(name: str, directory: Path | None = None) -> Iterator[SubmittedAlgorithm]:
    """The algorithm of a submission's part, in the sandbox, until the end of the block.

    Args:
        name: ``fine_pruning`` or ``activation_clustering``.
        directory: the submission's folder; None is the assignment's.

    Raises:
        ExperimentProblem: the part is not written yet, or, later, a function fails or answers nonsense; in its message
            the function, what came and the likely cause.
        UsageProblem: there is no such folder, or no such part.
    """
    from grader.settings import UsageProblem

    if name not in NAMES:
        raise UsageProblem(f"no algorithm is called {name!r}; there are {', '.join(NAMES)}")
    with opened(name, directory) as student:
        yield SubmittedAlgorithm(name, student)


@contextlib.contextmanager
def opened(
    name: str,
    directory: Path | None = None,
    *,
    in_process: bool = False,
    device: str = "cpu",
    **limits: int,
) -> Iterator[StudentModule]:
    """A submission's part in a step server until the end of the block.

    Args:
        directory: the submission's folder; None is the assignment's.
        in_process: without a sandbox, for code that one trusts, on any device.
        limits: those of the child that are to be others than the public spec's.

    Raises:
        ExperimentProblem: the part is not written yet.
        UsageProblem: there is no such folder.
    """
    from grader.contract import part
    from grader.grading import Grading
    from grader.settings import ASSIGNMENT, UsageProblem
    from grader.spec import load_spec
    from grader.submission import SubmissionError

    public = load_spec()
    # an experiment is no exam: on a busy machine importing scikit-learn alone takes longer than grading allows
    patient = dataclasses.replace(public.limits, start_seconds=CALL_SECONDS, load_seconds=CALL_SECONDS)
    spec = dataclasses.replace(public, limits=dataclasses.replace(patient, **limits))
    try:
        grading = Grading(
            directory or ASSIGNMENT, spec, isolation="none" if in_process else "auto", device=device
        )
    except SubmissionError as error:
        raise UsageProblem(str(error)) from error
    with grading:
        source = grading.submission.sources[name]
        if source.is_untouched(part(name)):
            raise ExperimentProblem(
                f"{source.path} is not written yet; name a submission that has it: --submission DIR"
            )
        yield grading.student(name)


def _argument(value: Any) -> Argument:
    import torch

    from grader.calls import TensorArgument

    return TensorArgument(value.detach().cpu().numpy()) if isinstance(value, torch.Tensor) else value


def _in_words(finding: Finding, function: str) -> str:
    from grader import messages

    return messages.common(
        finding.key, {"function": function, "line": finding.line or 0, **finding.values}, "en"
    )
