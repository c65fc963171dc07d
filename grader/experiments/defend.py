"""``python -m grader lab defend NAME --model DIR --out DIR``: one defence on one backdoor that ``lab attack`` made."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
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
from grader.outcome import write_whole

if TYPE_CHECKING:
    from grader.experiments.verdicts import Data, Verdict
    from grader.lab.triggers.backdoor import Backdoor

NAMES = ("fine_pruning", "activation_clustering", "neural_cleanse", "strip")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "defend",
        help="one defence on one backdoored model",
        description="Writes the verdict (verdict.json) and a picture to --out. fine_pruning and activation_clustering "
        "run the functions of a submission, in the sandbox, as grading does.",
    )
    parser.add_argument("name", choices=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="what `lab attack` wrote")
    parser.add_argument(
        "--submission", type=Path, metavar="DIR", help="whose functions (default: assignment)"
    )
    parser.add_argument(
        "--reclassify",
        action="store_true",
        help="for activation_clustering: judge each class's smaller cluster by exclusionary reclassification, too, "
        "which trains a model a class",
    )
    add_usual_options(parser)
    parser.set_defaults(run=guarded(_run))


def _run(options: argparse.Namespace) -> None:
    from grader.experiments.verdicts import Data, draw
    from grader.lab.data import load_mnist
    from grader.lab.triggers import TRIGGERS
    from grader.lab.triggers.backdoor import load_backdoor

    device = device_of(options)
    backdoor = load_backdoor(options.model, TRIGGERS).to(device)
    train, test = (
        load_mnist(split, options.data_dir, grey_levels=True).to(device) for split in ("train", "test")
    )
    with steps(options.name) as progress:
        verdicts = apply(
            options.name, backdoor, Data(train, test, options.seed), options.submission, progress,
            reclassify=options.reclassify,
        )  # fmt: skip
    options.out.mkdir(parents=True, exist_ok=True)
    draw(verdicts[0], options.out / f"{options.name}.png")
    about = [_as_json(verdict, backdoor.trigger.name, options.seed) for verdict in verdicts]
    write_whole(options.out / "verdict.json", json.dumps(about, indent=2) + "\n")
    for verdict in verdicts:
        print(describe(verdict, backdoor.trigger.name))
        for judged in verdict.details.get("judged", ()):
            print(f"  {judged}")


def _as_json(verdict: Verdict, trigger: str, seed: int) -> dict[str, object]:
    rates = {"before": verdict.before, "after": verdict.after}
    return {
        "defence": verdict.defence, "variant": verdict.variant, "trigger": trigger, "seed": seed,
        "says": verdict.says, "alarm": verdict.alarm, "right": verdict.right, "score": verdict.score,
        **{name: None if both is None else {"acc": both[0].value, "asr": both[1].value}
           for name, both in rates.items()},
    }  # fmt: skip


def describe(verdict: Verdict, trigger: str) -> str:
    """A verdict in a few lines."""
    name = f"{verdict.defence}, {verdict.variant}" if verdict.variant else verdict.defence
    lines = [
        f"{name} on {trigger}: {verdict.says}",
        f"  before: ACC {verdict.before[0]}, ASR {verdict.before[1]}",
    ]
    if verdict.after is not None:
        lines.append(f"  after:  ACC {verdict.after[0]}, ASR {verdict.after[1]}")
    return "\n".join(lines)


def apply(
    name: str,
    backdoor: Backdoor,
    data: Data,
    submission: Path | None,
    progress: StepProgress,
    *,
    pictures: bool = True,
    reclassify: bool = False,
) -> list[Verdict]:
    """One defence by its name; more than one verdict where it has several rules.

    Args:
        pictures: keep what a picture needs that nothing else does.
        reclassify: let Activation Clustering retrain without each suspected cluster, for its pictures.

    Raises:
        ExperimentProblem: what the submission's functions return cannot be used.
    """
    from grader.experiments import algorithms, verdicts

    if name == "strip":
        return verdicts.by_strip(backdoor, data)
    if name == "neural_cleanse":
        return verdicts.by_neural_cleanse(backdoor, data, progress)
    judge: dict[str, Callable[..., list[Verdict]]] = {
        "fine_pruning": verdicts.by_fine_pruning,
        "activation_clustering": partial(
            verdicts.by_activation_clustering, pictures=pictures, reclassify=reclassify
        ),
    }
    with algorithms.of_submission(name, submission) as algorithm:
        try:
            return judge[name](backdoor, data, algorithm, progress)
        except ValueError as error:
            raise ExperimentProblem(str(error)) from error
