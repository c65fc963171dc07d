"""``python -m grader lab matrix --out DIR``: every attack against every defence, with one definition of ASR.

Models, verdicts and pictures are kept in --out; what is there is not made again, so a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from grader.experiments import alarms
from grader.experiments.attack import NAMES as ATTACKS
from grader.experiments.common import ExperimentProblem, add_usual_options, device_of, guarded, steps
from grader.experiments.defend import NAMES as DEFENCES
from grader.experiments.defend import apply
from grader.experiments.matrix_table import COLUMNS, NO_DEFENCE, grid, table
from grader.experiments.origin import claim
from grader.experiments.tables import Row, read_rows, write_rows
from grader.outcome import write_whole

if TYPE_CHECKING:
    import torch

    from grader.experiments.verdicts import Data, Verdict
    from grader.lab.triggers.backdoor import Backdoor


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "matrix",
        help="every attack against every defence",
        description="Writes matrix.csv, matrix.md and matrix.png to --out, and a folder with model and pictures for "
        "each attack and seed; then alarms.csv, the false alarms on clean models of all defences but Neural Cleanse, "
        "which takes longest (`lab alarms`, with the same --out). Resumable: one --out for one submission.",
    )
    for option, names in (("--attacks", ATTACKS), ("--defences", DEFENCES)):
        parser.add_argument(
            option, nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names)
        )
    parser.add_argument("--target", type=int, default=7, choices=range(10), metavar="0..9", help="default: 7")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="seeds from --seed on (default: 1)")
    parser.add_argument(
        "--models", type=int, default=10, metavar="N", help="clean models (default: 10; 0: none)"
    )
    parser.add_argument(
        "--submission", type=Path, metavar="DIR", help="whose functions (default: assignment)"
    )
    add_usual_options(parser)
    parser.set_defaults(run=guarded(_run))


def _run(options: argparse.Namespace) -> None:
    from grader.experiments.verdicts import Data
    from grader.lab.data import load_mnist

    if options.seeds < 1 or options.models < 0:
        raise ExperimentProblem("--seeds is 1 or more, --models 0 or more")
    device = device_of(options)
    path = options.out / "matrix.csv"
    rows = read_rows(path, COLUMNS)
    if any(row["target"] != str(options.target) for row in rows):
        raise ExperimentProblem(f"{path} has another target; name another --out")
    train, test = (
        load_mnist(split, options.data_dir, grey_levels=True).to(device) for split in ("train", "test")
    )
    claim(options.out, options.submission, (*options.attacks, *options.defences))
    started, used = time.perf_counter(), cpu_seconds()
    for seed in range(options.seed, options.seed + options.seeds):
        for attack in options.attacks:
            _attack_row(attack, Data(train, test, seed), options, rows, device)
    quick = [name for name in options.defences if name in alarms.QUICK]
    false_alarms = alarms.judge_clean_models(
        options.out, train, test, quick, options.models, options.submission
    )
    write(options.out, rows, false_alarms)
    print(table(rows, false_alarms))
    print(f"\n{time.perf_counter() - started:.0f} s, {cpu_seconds() - used:.0f} s of CPU")


def write(out: Path, rows: list[Row], false_alarms: list[Row]) -> None:
    """The table and the figure."""
    from grader.experiments.pictures import plot_matrix

    write_whole(out / "matrix.md", table(rows, false_alarms) + "\n")
    if rows:
        plot_matrix(grid(rows, false_alarms), out / "matrix.png")


def cpu_seconds() -> float:
    """Of this process and of its children that have ended: the sandboxes'."""
    return sum(os.times()[:4])


def _attack_row(
    name: str, data: Data, options: argparse.Namespace, rows: list[Row], device: torch.device
) -> None:
    """The attack without defence, then each defence that has not been tried on it."""
    from grader.experiments.verdicts import draw

    done = {(r["attack"], r["seed"], r["defence"]) for r in rows}
    missing = [d for d in (NO_DEFENCE, *options.defences) if (name, str(data.seed), d) not in done]
    if not missing:
        return
    folder = options.out / f"{name}-seed{data.seed}"
    used = cpu_seconds()
    backdoor, row = _backdoor(name, data, options, folder, device)
    key = {"attack": name, "seed": str(data.seed), "target": str(options.target)}
    for defence in missing:
        if defence == NO_DEFENCE:
            rows.append({**row, **key, "cpu_seconds": f"{cpu_seconds() - used:.1f}"})
        else:
            used = cpu_seconds()
            with steps(f"{name}, {defence}") as progress:
                verdicts = apply(
                    defence, backdoor, data, options.submission, progress, pictures=data.seed == options.seed
                )
            spent = f"{(cpu_seconds() - used) / len(verdicts):.1f}"
            draw(verdicts[0], folder / f"{defence}.png")
            rows += [{**_row(verdict), **key, "cpu_seconds": spent} for verdict in verdicts]
        write_rows(options.out / "matrix.csv", COLUMNS, rows)


def _row(verdict: Verdict) -> Row:
    row = {
        **dict.fromkeys(COLUMNS, ""), "defence": verdict.defence, "variant": verdict.variant, "says": verdict.says,
        "alarm": "" if verdict.alarm is None else str(int(verdict.alarm)),
        "right": "" if verdict.right is None else str(int(verdict.right)),
        "score": "" if verdict.score is None else f"{verdict.score:.4f}",
        "before_acc": f"{verdict.before[0].value:.4f}", "before_asr": f"{verdict.before[1].value:.4f}",
    }  # fmt: skip
    if verdict.after is not None:
        row.update(acc=f"{verdict.after[0].value:.4f}", asr=f"{verdict.after[1].value:.4f}")
    return row


def _backdoor(
    name: str, data: Data, options: argparse.Namespace, folder: Path, device: torch.device
) -> tuple[Backdoor, Row]:
    """The attack's model, made now or read, and its own row."""
    from grader.experiments.attack import draw, train_backdoor
    from grader.lab.triggers import TRIGGERS
    from grader.lab.triggers.backdoor import load_backdoor, measure, save_backdoor
    from grader.lab.triggers.dynamic_visible import MaskedPattern, cross_trigger_accuracy

    if (folder / "backdoor.json").exists():
        backdoor = load_backdoor(folder, TRIGGERS).to(device)
        if backdoor.trigger.name != name or backdoor.target != options.target:
            raise ExperimentProblem(f"{folder} has another backdoor; name another --out")
    else:
        with steps(name) as progress:
            backdoor = train_backdoor(
                name, data.train, options.target, data.seed, progress, submission=options.submission, device=device
            ).to(device)  # fmt: skip
    found = measure(backdoor, data.test)
    says, cross = backdoor.trigger.budget, ""
    if isinstance(backdoor.trigger, MaskedPattern):
        cross = f"{cross_trigger_accuracy(backdoor, data.test).value:.4f}"
    backdoor.to("cpu")
    save_backdoor(folder, backdoor, found)
    test = data.test.to("cpu")
    draw(backdoor, test.x, test.y, folder)
    acc, asr = f"{found.acc.value:.4f}", f"{found.asr.value:.4f}"
    row = {
        **dict.fromkeys(COLUMNS, ""), "defence": NO_DEFENCE, "says": says, "score": cross, "acc": acc, "asr": asr,
        "before_acc": acc, "before_asr": asr, "linf": f"{found.linf:.0f}",
        "psnr": f"{found.psnr:.1f}", "ssim": f"{found.ssim:.3f}",
    }  # fmt: skip
    return backdoor.to(device), row
