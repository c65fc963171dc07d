"""``python -m grader lab alarms --out DIR``: what each defence says of clean models, where every accusation is false.

Fine-Pruning accuses nobody and has no false alarms. A clean model that was judged is not judged again.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from grader.experiments.common import ExperimentProblem, StepProgress, add_usual_options, guarded, steps
from grader.experiments.origin import claim
from grader.experiments.tables import Row, counted, markdown, read_rows, spread, write_rows

if TYPE_CHECKING:
    from grader.experiments.verdicts import Data, FalseAlarm
    from grader.lab.data import Images
    from grader.lab.models import LeNet5

COLUMNS = ("seed", "defence", "says", "alarm", "flagged", "total", "acc")
NAMES = ("activation_clustering", "neural_cleanse", "strip")
QUICK = ("activation_clustering", "strip")
"""Those that take seconds a model."""
FILE = "alarms.csv"


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "alarms",
        help="each defence's false alarms on clean models",
        description="Writes alarms.csv (a row a model and defence; a row that is there is not made again) and the "
        "triggers that Neural Cleanse found to --out. With the --out of `lab matrix` its table shows them.",
    )
    parser.add_argument(
        "--defences", nargs="+", choices=NAMES, default=NAMES, metavar="NAME", help=", ".join(NAMES)
    )
    parser.add_argument("--models", type=int, default=10, metavar="N", help="clean models (default: 10)")
    parser.add_argument(
        "--submission", type=Path, metavar="DIR", help="whose functions (default: assignment)"
    )
    add_usual_options(parser)
    parser.set_defaults(run=guarded(_run))


def _run(options: argparse.Namespace) -> None:
    from grader.experiments.common import device_of
    from grader.lab.data import load_mnist

    if options.models < 1:
        raise ExperimentProblem("--models is 1 or more")
    device = device_of(options)
    train, test = (
        load_mnist(split, options.data_dir, grey_levels=True).to(device) for split in ("train", "test")
    )
    claim(options.out, options.submission, options.defences)
    rows = judge_clean_models(
        options.out, train, test, options.defences, options.models, options.submission, first=options.seed
    )
    print(table(rows))


def judge_clean_models(
    out: Path,
    train: Images,
    test: Images,
    defences: Sequence[str],
    models: int,
    submission: Path | None,
    *,
    first: int = 1,
) -> list[Row]:
    """Let each defence judge clean LeNet-5s of the seeds from ``first`` on; returns all rows that ``out`` has then."""
    from grader.experiments.verdicts import Data, draw
    from grader.lab.metrics import accuracy, predict
    from grader.lab.training import clean_start
    from grader.lab.triggers.poisoning import SETTINGS

    rows = read_rows(out / FILE, COLUMNS)
    done = {(row["seed"], row["defence"]) for row in rows}
    for seed in range(first, first + models):
        missing = [name for name in defences if (str(seed), name) not in done]
        if not missing:
            continue
        with steps(f"clean model {seed}") as progress:
            model = clean_start(SETTINGS, seed, train, progress).to(train.x.device).eval()
        acc = accuracy(predict(model, test.x), test.y).value
        for name in missing:
            with steps(f"clean model {seed}, {name}") as progress:
                found = judge(name, model, Data(train, test, seed), submission, progress)
            draw(found, out / f"clean-seed{seed}" / f"{name}.png")
            rows.append(
                {
                    "seed": str(seed), "defence": name, "says": found.says,
                    "alarm": "" if found.alarm is None else str(int(found.alarm)),
                    "flagged": str(found.flagged.hits), "total": str(found.flagged.total), "acc": f"{acc:.4f}",
                }
            )  # fmt: skip
            write_rows(out / FILE, COLUMNS, rows)
    return rows


def judge(
    name: str, model: LeNet5, data: Data, submission: Path | None, progress: StepProgress
) -> FalseAlarm:
    """What one defence says of one clean model.

    Raises:
        ExperimentProblem: what the submission's functions return cannot be used.
    """
    from grader.experiments import algorithms, verdicts

    if name == "strip":
        return verdicts.strip_on_clean(model, data)
    if name == "neural_cleanse":
        return verdicts.cleanse_on_clean(model, data, progress)
    with algorithms.of_submission(name, submission) as algorithm:
        try:
            return verdicts.clustering_on_clean(model, data, algorithm)
        except ValueError as error:
            raise ExperimentProblem(str(error)) from error


def summary(rows: Sequence[Row], defence: str) -> str:
    """One defence's false alarms in a few words; empty where it was not run."""
    own = [row for row in rows if row["defence"] == defence]
    if not own:
        return ""
    share = [int(row["flagged"]) / int(row["total"]) for row in own]
    if defence == "strip":
        return f"rejects {spread(share)} of clean inputs, {len(own)} models"
    accused = counted(sum(row["alarm"] == "1" for row in own), len(own))
    if defence == "activation_clustering":
        return f"accuses {accused}; takes {spread(share)} of the images for poison"
    return f"accuses {accused}"


def table(rows: Sequence[Row]) -> str:
    """Markdown: a line a defence."""
    lines = [[name, found] for name in NAMES if (found := summary(rows, name))]
    return markdown(["defence", "false alarms on clean models"], lines)
