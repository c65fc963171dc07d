"""``python -m grader lab attack NAME --out DIR``: train one backdoor, measure it, draw it, keep it."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from grader.experiments.common import (
    ExperimentProblem,
    StepProgress,
    add_usual_options,
    device_of,
    guarded,
    steps,
)

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from grader.lab.data import Images
    from grader.lab.triggers.backdoor import Backdoor, Measured
    from grader.spec import Spec

NAMES = ("visible", "sticker", "lighting", "invisible", "dynamic_visible", "dynamic_invisible")
BOUNDED = ("invisible", "dynamic_invisible")
"""Those whose trigger may change a pixel by epsilon at most."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "attack",
        help="train a backdoored LeNet-5 and its trigger",
        description="Writes the model, its trigger, figures and pictures to --out. The attack `invisible` runs the "
        "functions of a submission, in the sandbox, as grading does.",
    )
    parser.add_argument("name", choices=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--target", type=int, default=7, choices=range(10), metavar="0..9", help="default: 7")
    parser.add_argument(
        "--submission",
        type=Path,
        metavar="DIR",
        help="for `invisible`: whose functions (default: assignment)",
    )
    parser.add_argument(
        "--epsilon", type=float, metavar="LEVELS",
        help="for `invisible` and `dynamic_invisible`: the bound, in grey levels of 255 (default: 8 and 16)",
    )  # fmt: skip
    add_usual_options(parser)
    parser.set_defaults(run=guarded(_run))


def _run(options: argparse.Namespace) -> None:
    from grader.lab.data import load_mnist
    from grader.lab.triggers.backdoor import measure, save_backdoor

    if options.epsilon is not None and options.name not in BOUNDED:
        raise ExperimentProblem(
            f"--epsilon: `{options.name}` has no bound, only {' and '.join(BOUNDED)} have one"
        )
    if options.epsilon is not None and not 0 < options.epsilon <= 255:
        raise ExperimentProblem(f"--epsilon is in (0, 255] grey levels, not {options.epsilon}")
    if options.name == "invisible" and options.device != "cpu":
        raise ExperimentProblem("the sandbox shows no GPU: `invisible` runs on the CPU")
    test = load_mnist("test", options.data_dir, grey_levels=True)
    train = load_mnist("train", options.data_dir, grey_levels=True)
    device = device_of(options)
    with steps(options.name) as progress:
        backdoor = train_backdoor(
            options.name, train, options.target, options.seed, progress, submission=options.submission,
            epsilon=options.epsilon, device=device,
        )  # fmt: skip
    backdoor.model.cpu()
    measured = measure(backdoor, test)
    save_backdoor(options.out, backdoor, measured)
    draw(backdoor, test.x, test.y, options.out)
    print(describe(backdoor, measured))
    if backdoor.trigger.name == "dynamic_visible":
        from grader.lab.triggers.dynamic_visible import cross_trigger_accuracy

        print(f"cross-trigger accuracy: {cross_trigger_accuracy(backdoor, test)}")


def train_backdoor(
    name: str,
    train: Images,
    target: int,
    seed: int,
    progress: StepProgress,
    *,
    submission: Path | None = None,
    epsilon: float | None = None,
    device: torch.device | str = "cpu",
) -> Backdoor:
    """One attack by its name.

    Args:
        submission: whose functions ``invisible`` runs; None is the assignment's.
        epsilon: in grey levels, of the two invisible attacks; None is their default.
        device: of every attack but ``invisible``, which runs in the sandbox.

    Raises:
        ExperimentProblem: the submission's functions do not pass the checks that training relies on.
    """
    from grader.lab.triggers import ATTACKS, dynamic_invisible
    from grader.spec import load_spec

    if name == "invisible":
        public = load_spec().with_seed(seed)
        own = public.invisible_trigger
        part = dataclasses.replace(
            own, target=target, epsilon=own.epsilon if epsilon is None else epsilon / 255
        )
        return invisible(submission, dataclasses.replace(public, invisible_trigger=part), progress)
    if name == "dynamic_invisible" and epsilon is not None:
        settings = dynamic_invisible.Settings(epsilon=epsilon / 255)
        return dynamic_invisible.attack(
            train, target, seed, settings=settings, device=device, progress=progress
        )
    return ATTACKS[name](train, target, seed, device=device, progress=progress)


def invisible(submission: Path | None, spec: Spec, progress: StepProgress) -> Backdoor:
    """Part 1's attack with a submission's functions, through the worker.

    Args:
        submission: its folder; None is the assignment's.
        spec: target, epsilon, seed and training settings.

    Raises:
        ExperimentProblem: the functions do not pass the checks that training relies on.
        UsageProblem: there is no such submission.
    """
    from grader.grading import Grading
    from grader.lab.triggers.backdoor import Backdoor
    from grader.lab.triggers.invisible import Perturbation
    from grader.settings import ASSIGNMENT, UsageProblem
    from grader.submission import SubmissionError

    def report(what: str, done: int, total: int) -> None:
        if what == "training":
            progress(done, total, float("nan"))

    try:
        grading = Grading(submission or ASSIGNMENT, spec, progress=report)
    except SubmissionError as error:
        raise UsageProblem(str(error)) from error
    part = spec.invisible_trigger
    with grading:
        outcome = grading.outcome("invisible_trigger.outcome.asr")
        found = grading.attack
    if found is None:
        raise ExperimentProblem(f"the submission's attack does not run: {outcome.got} {outcome.hint}")
    return Backdoor(found.model.eval(), Perturbation(found.delta, part.epsilon), part.target)


def describe(backdoor: Backdoor, measured: Measured) -> str:
    """The figures of one backdoor, in a few lines."""
    return (
        f"{backdoor.trigger.name}, target {backdoor.target}, {backdoor.trigger.budget}\n"
        f"ACC {measured.acc}, ASR {measured.asr}, without trigger {measured.untriggered}\n"
        f"8-bit images: largest change {measured.linf:.0f} of 255, PSNR {measured.psnr:.1f} dB, "
        f"SSIM {measured.ssim:.3f}"
    )


def draw(backdoor: Backdoor, x: Tensor, y: Tensor, folder: Path) -> None:
    """One test image of each digit with and without the trigger: ``triggered_samples.png``."""
    import torch

    from grader.lab.data import to_float
    from grader.lab.metrics import predict
    from grader.lab.plots import plot_triggered_samples

    shown = torch.tensor([int((y == digit).nonzero()[0]) for digit in range(10)])
    clean = to_float(x[shown])
    triggered = backdoor.trigger(clean)
    plot_triggered_samples(
        clean, triggered, y=y[shown], predictions=predict(backdoor.model, clean),
        triggered_predictions=predict(backdoor.model, triggered), target=backdoor.target,
        path=folder / "triggered_samples.png",
    )  # fmt: skip
