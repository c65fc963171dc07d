"""The options that the clean-label experiments share, and what they ask for: a victim, an algorithm, settings."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from grader.experiments.common import ExperimentProblem, add_usual_options
from grader.experiments.crafting import Algorithm, CraftSettings

if TYPE_CHECKING:
    from grader.experiments.victim import Victim

BETA_ONLY = "beta"


def add_attack_options(parser: argparse.ArgumentParser) -> None:
    """Whose algorithm on which network, and how poisons are crafted."""
    usual = CraftSettings()
    parser.add_argument(
        "--submission", type=Path, metavar="DIR", help="whose functions (default: assignment)"
    )
    parser.add_argument(
        "--in-process", action="store_true",
        help="run them in this process and not in the sandbox: only for code that you trust; lets them use --device",
    )  # fmt: skip
    parser.add_argument(
        "--weights", type=Path, metavar="FILE", help="of another ResNet-18, with its model card beside it"
    )
    parser.add_argument("--download", action="store_true", help="download CIFAR-10 if it is not there")
    parser.add_argument(
        "--pool", type=int, metavar="N",
        help="use only N training images, for bases and for fine-tuning: their features are computed sooner",
    )  # fmt: skip
    parser.add_argument("--beta", type=float, default=usual.beta, help=f"default: {usual.beta}")
    parser.add_argument(
        "--step-size", type=float, default=usual.step_size, help=f"default: {usual.step_size}"
    )
    parser.add_argument(
        "--iterations", type=int, default=usual.iterations, metavar="N", help=f"default: {usual.iterations}"
    )
    add_usual_options(parser)


def budget(text: str) -> float | None:
    """``8`` means 8/255, ``beta`` that there is no bound: for argparse."""
    if text == BETA_ONLY:
        return None
    levels = float(text)
    if not 0 < levels <= 255:
        raise ValueError(text)
    return levels / 255


def craft_settings(
    options: argparse.Namespace, epsilon: float | None, watermark: float = 0.0
) -> CraftSettings:
    """The settings that the options describe.

    Raises:
        ExperimentProblem: a number is out of its range, or they do not go together.
    """
    if not (options.beta >= 0 and options.step_size > 0 and options.iterations >= 0):
        raise ExperimentProblem("beta and iterations are 0 or more, a step size is more than 0")
    if not 0 <= watermark < 1:
        raise ExperimentProblem(f"a watermark's opacity is in [0, 1), not {watermark}")
    if watermark and epsilon is not None and options.iterations:
        raise ExperimentProblem(
            "a watermark leaves any small budget by itself: use it with --epsilon beta, or with --iterations 0"
        )
    return CraftSettings(epsilon, options.beta, options.step_size, options.iterations, watermark)


@contextlib.contextmanager
def algorithm_of(options: argparse.Namespace, victim: Victim) -> Iterator[Algorithm]:
    """The submission's functions, with the victim's network, until the end of the block.

    Raises:
        ExperimentProblem: the part is not written, or what the options ask for does not go together.
        UsageProblem: there is no such submission.
    """
    from grader.experiments.submitted_poisons import clean_label

    if options.device != "cpu" and not options.in_process:
        raise ExperimentProblem("the sandbox shows no GPU: use --device together with --in-process")
    with clean_label(
        options.submission, victim.model, device=options.device, in_process=options.in_process
    ) as found:
        yield found
