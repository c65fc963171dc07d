"""``python -m grader lab clean-label --out DIR``: poison, fine-tune, and look at every target.

Writes ``targets.csv`` (a row a target), ``probabilities.csv``, ``targets.png``, and a picture of each target with its
poisons. Poisons are kept, judged and drawn as 8-bit images; those that are there are not made again.
"""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from grader.experiments.clean_label_options import add_attack_options, algorithm_of, budget, craft_settings
from grader.experiments.common import ExperimentProblem, guarded, steps
from grader.experiments.crafting import Crafted, craft
from grader.experiments.fine_tuning import METHODS, attack, draw_sample
from grader.experiments.victim import Victim, load_victim
from grader.outcome import write_whole

if TYPE_CHECKING:
    from torch import Tensor

    from grader.lab.clean_label import Outcome, Targets

Row = dict[str, str]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "clean-label",
        help="poison frogs: turn single CIFAR-10 images with a submission's clean-label attack",
        description="Writes a table and a picture of every target to --out. Run again, it makes no poison twice.",
    )
    parser.add_argument(
        "--targets", type=int, default=100, metavar="N", help="in all, over ten classes (default: 100)"
    )
    parser.add_argument(
        "--target", type=int, metavar="INDEX", help="attack this one image of the test set; needs --base"
    )
    parser.add_argument("--base", type=int, metavar="0..9", help="the class that --target is to be taken for")
    parser.add_argument("--poisons", type=int, default=5, metavar="N", help="for each target (default: 5)")
    parser.add_argument(
        "--images", type=int, default=500, metavar="N",
        help="the victim fine-tunes on, poisons among them (default: 500)",
    )  # fmt: skip
    parser.add_argument(
        "--epsilon", type=budget, default=8 / 255, metavar="LEVELS",
        help="largest change of a pixel in grey levels of 255, or `beta` for none (default: 8)",
    )  # fmt: skip
    parser.add_argument(
        "--watermark", type=float, default=0.0, metavar="OPACITY", help="of the target, laid over each base first"
    )  # fmt: skip
    parser.add_argument(
        "--fine-tuning", choices=METHODS, default="converged", metavar="METHOD",
        help="converged: to the optimum; sgd: the poisoning benchmark's 40 epochs (default: converged)",
    )  # fmt: skip
    add_attack_options(parser)
    parser.set_defaults(run=guarded(_run))


def _run(options: argparse.Namespace) -> None:
    from grader.lab.clean_label import check_bases, fine_tuning_sample, replaced_by

    if options.targets < 1:
        raise ExperimentProblem(f"--targets is 1 or more, not {options.targets}")
    settings = craft_settings(options, options.epsilon, options.watermark)
    victim = load_victim(options)
    targets = _targets(options, victim)
    # what cannot be is said before anything is crafted
    check_bases(options.poisons, victim.train.y)
    positions = fine_tuning_sample(victim.train.y, options.images, options.seed)
    nobody = targets.index.new_full((len(targets), options.poisons), -1)
    replaced_by(nobody, positions, victim.train.y, targets.base_class)
    with algorithm_of(options, victim) as algorithm, steps("poisons") as progress:
        crafted = craft(
            algorithm,
            victim,
            targets,
            options.poisons,
            settings,
            options.out / "crafted" / settings.folder,
            progress,
        )
    with steps("fine-tuning") as progress:
        sample = draw_sample(victim, options.images, options.fine_tuning, options.seed, progress)
        outcome = attack(victim, sample, targets, crafted, progress)
    rows = target_rows(victim, targets, crafted, outcome)
    write_table(options.out / "targets.csv", rows)
    write_table(options.out / "probabilities.csv", _probability_rows(targets, outcome))
    _draw(victim, targets, crafted, outcome, options.out)
    print(summary(rows, outcome, crafted))


def _targets(options: argparse.Namespace, victim: Victim) -> Targets:
    import torch

    from grader.lab.clean_label import Targets, choose_targets

    if options.target is None:
        return choose_targets(victim.test, victim.predictions, options.targets, options.seed)
    if options.base is None:
        raise ExperimentProblem("--target needs --base, the class that it is to be taken for")
    if not 0 <= options.target < len(victim.test):
        raise ExperimentProblem(
            f"--target is a position in the test set, 0 to {len(victim.test) - 1}, not {options.target}"
        )
    index = torch.tensor([options.target])
    chosen = victim.test.subset(index).as_float()
    return Targets(chosen.x, chosen.y, torch.tensor([options.base]), index)


def target_rows(victim: Victim, targets: Targets, crafted: Crafted, outcome: Outcome) -> list[Row]:
    """What is known of every target and its poisons, in words and numbers."""
    from grader.lab.clean_label import CIFAR10_CLASSES
    from grader.lab.clean_label_plots import distances_of
    from grader.lab.data import to_float
    from grader.lab.metrics import linf, psnr, ssim

    rows = []
    for t in range(len(targets)):
        y, base = int(targets.y[t]), int(targets.base_class[t])
        bases, poisons = to_float(victim.train.x[crafted.bases[t]]), to_float(crafted.poisons[t])
        distances = distances_of(
            crafted.features[t], victim.train_features[crafted.bases[t]], victim.test_features[targets.index[t]]
        )  # fmt: skip
        values: Mapping[str, object] = {
            "target": int(targets.index[t]),
            "class": CIFAR10_CLASSES[y],
            "base_class": CIFAR10_CLASSES[base],
            "success": int(outcome.success[t]),
            "p_class_before": f"{float(outcome.before[t, y]):.4f}",
            "p_base_before": f"{float(outcome.before[t, base]):.4f}",
            "p_class_after": f"{float(outcome.after[t, y]):.4f}",
            "p_base_after": f"{float(outcome.after[t, base]):.4f}",
            "poisons": crafted.bases.shape[1],
            "linf": f"{float(linf(bases, poisons).max()) * 255:.0f}",
            "psnr": f"{float(psnr(bases, poisons).mean()):.2f}",
            "ssim": f"{float(ssim(bases, poisons).mean()):.4f}",
            "distance_before": f"{float(distances[:, 0].mean()):.3f}",
            "distance_after": f"{float(distances[:, 1].mean()):.3f}",
            "nearest_after": f"{float(distances[:, 1].min()):.3f}",
            "acc_before": f"{outcome.acc_before.value:.4f}",
            "acc_after": f"{float(outcome.acc_after[t]):.4f}",
            "others_flipped": int(outcome.others_flipped[t]),
            "others": int(outcome.others[t]),
        }
        rows.append({name: str(value) for name, value in values.items()})
    return rows


def _probability_rows(targets: Targets, outcome: Outcome) -> list[Row]:
    from grader.lab.clean_label import CIFAR10_CLASSES

    return [
        {"target": str(int(index)), "poisons": name}
        | {c: f"{float(p):.4f}" for c, p in zip(CIFAR10_CLASSES, row[t], strict=True)}
        for t, index in enumerate(targets.index)
        for name, row in (("no", outcome.before), ("yes", outcome.after))
    ]


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """A CSV file with the first row's columns."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, text.getvalue())


def _draw(victim: Victim, targets: Targets, crafted: Crafted, outcome: Outcome, out: Path) -> None:
    from grader.lab.clean_label import CIFAR10_CLASSES
    from grader.lab.clean_label_plots import distances_of, plot_attack, plot_targets
    from grader.lab.data import to_float

    nearest: list[Tensor] = []
    with steps("pictures") as progress:
        for t in range(len(targets)):
            y, base, index = int(targets.y[t]), int(targets.base_class[t]), int(targets.index[t])
            distances = distances_of(
                crafted.features[t], victim.train_features[crafted.bases[t]], victim.test_features[index]
            )
            nearest.append(distances.amin(0))
            name = f"{t:03}-{CIFAR10_CLASSES[y]}-{index}-as-{CIFAR10_CLASSES[base]}.png"
            plot_attack(
                targets.x[t], to_float(victim.train.x[crafted.bases[t]]), to_float(crafted.poisons[t]),
                y=y, base_class=base, before=outcome.before[t], after=outcome.after[t], distances=distances,
                path=out / "pictures" / name,
            )  # fmt: skip
            progress(t + 1, len(targets), float("nan"))
    import torch

    base_column = targets.base_class.unsqueeze(1)
    plot_targets(
        torch.stack(nearest), outcome.before.gather(1, base_column)[:, 0], outcome.after.gather(1, base_column)[:, 0],
        outcome.success, f"{outcome.rate.hits} of {len(targets)} targets turned", out / "targets.png",
    )  # fmt: skip


def summary(rows: Sequence[Row], outcome: Outcome, crafted: Crafted) -> str:
    """The figures over all targets, in a few lines."""

    def mean(column: str) -> float:
        return sum(float(row[column]) for row in rows) / len(rows)

    low, high = outcome.rate.interval
    drop = outcome.acc_before.value - float(outcome.acc_after.mean())
    others = int(outcome.others_flipped.sum()), int(outcome.others.sum())
    return (
        f"targets turned: {outcome.rate}, 95 % interval {low:.1%} to {high:.1%}\n"
        f"ACC {outcome.acc_before} without poisons; with them {100 * drop:.2f} points less on average, "
        f"{100 * (outcome.acc_before.value - float(outcome.acc_after.min())):.2f} at most\n"
        f"other images of the targets' classes that flip too: {others[0]:,} of {others[1]:,}\n"
        f"8-bit poisons: largest change {max(int(row['linf']) for row in rows)} of 255, "
        f"PSNR {mean('psnr'):.1f} dB, SSIM {mean('ssim'):.4f}; feature distance to the target "
        f"{mean('distance_before'):.2f} -> {mean('distance_after'):.2f}\n"
        f"crafted in {crafted.seconds:.0f} s, {crafted.seconds / crafted.bases.numel():.2f} s a poison"
    )
