"""A submission's ``clean_label.py`` for the lab: its functions in the sandbox, with the network that they attack."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from grader.experiments.algorithms import Submitted, opened

if TYPE_CHECKING:
    from torch import Tensor

    from grader.calls import FeaturesArgument
    from grader.lab.models import ResNet18
    from grader.student import StudentModule

PART = "clean_label"
CALL_SECONDS = 3600.0
"""A call crafts a hundred poisons: a minute on a quiet machine in bfloat16, many on a busy or older one."""
MEMORY_MIB = 16 * 1024  # address space
CPU_SECONDS = 24 * 3600


class SubmittedPoisons(Submitted):
    """Calls ``choose_bases`` and ``craft_poisons``.

    Args:
        features: the network's feature extractor. It travels with every call that needs it.
    """

    def __init__(self, student: StudentModule, features: FeaturesArgument) -> None:
        super().__init__(PART, student, CALL_SECONDS)
        self._features = features

    def choose_bases(self, candidate_features: Tensor, target_features: Tensor, count: int) -> Tensor:
        """(M, D), (T, D) -> int64 (T, count)."""
        shape = (len(target_features), count)
        return self._tensor("choose_bases", shape, "int64", candidate_features, target_features, count)

    def craft_poisons(
        self, bases: Tensor, target_features: Tensor, step_size: float, beta: float, iterations: int,
        epsilon: float | None,
    ) -> Tensor:  # fmt: skip
        """(N, C, H, W), (N, D) -> (N, C, H, W)."""
        return self._tensor(
            "craft_poisons", tuple(bases.shape), "float32",
            self._features, bases, target_features, step_size, beta, iterations, epsilon,
        )  # fmt: skip


@contextlib.contextmanager
def clean_label(
    directory: Path | None, model: ResNet18, *, device: str = "cpu", in_process: bool = False
) -> Iterator[SubmittedPoisons]:
    """The clean-label attack of a submission on a ResNet-18, until the end of the block.

    Raises:
        ExperimentProblem: the part is not written yet, or, later, a function fails or answers nonsense.
        UsageProblem: there is no such folder.
    """
    from grader.calls import FeaturesArgument
    from grader.lab.extractor_training import fast_bfloat16

    state = {
        n: v.cpu().numpy() for n, v in model.state_dict().items() if not n.endswith("num_batches_tracked")
    }
    features = FeaturesArgument("resnet18", state, {"width": model.conv1.out_channels}, fast_bfloat16(device))
    with opened(
        PART, directory, in_process=in_process, device=device, memory_mib=MEMORY_MIB, cpu_seconds=CPU_SECONDS
    ) as student:
        yield SubmittedPoisons(student, features)
