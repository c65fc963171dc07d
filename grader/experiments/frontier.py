"""``python -m grader lab frontier``: how small may epsilon be? Joint training against triggers that are not learned.

For each epsilon of k grey levels and each seed, three backdoors of the same number of steps from the same clean model:

- ``joint``: part 1's attack, trigger and model trained together, with a submission's functions;
- ``random``: a fixed random trigger, every pixel +epsilon or -epsilon; only the model is trained;
- ``universal``: a universal perturbation of the clean model (Moosavi-Dezfooli et al. 2017, here targeted and by
  gradient); only the trigger is trained, and the model stays clean.

ACC and ASR are of images rounded to 8 bits: one grey level is the smallest change that an image file can hold.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from grader.experiments.common import ExperimentProblem, StepProgress, guarded, steps
from grader.outcome import write_whole

if TYPE_CHECKING:
    from grader.lab.data import Images
    from grader.lab.triggers.backdoor import Backdoor
    from grader.spec import Spec

COLUMNS = ("method", "grey_levels", "seed", "steps", "acc", "asr", "clean_acc")
METHODS = ("joint", "random", "universal")
LEAST_ASR, LARGEST_DROP = 0.99, 0.002
Row = dict[str, str]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "frontier",
        help="the smallest epsilon that still works",
        description="Writes frontier.csv (a row a run; a run that is there is not repeated) and frontier.png to --out.",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the results go")
    parser.add_argument(
        "--submission", type=Path, metavar="DIR", help="whose functions (default: assignment)"
    )
    parser.add_argument(
        "--levels", type=int, nargs="+", default=[1, 2, 3, 4, 8], metavar="K", help="epsilons, in grey levels"
    )
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="seeds 1 to N (default: 5)")
    parser.add_argument(
        "--steps", type=int, default=2800, metavar="N", help="of every run (default: 2800, 6 epochs)"
    )
    parser.add_argument(
        "--methods", nargs="+", choices=METHODS, default=METHODS, metavar="METHOD", help=", ".join(METHODS)
    )
    parser.set_defaults(run=guarded(_run))


def _run(options: argparse.Namespace) -> None:
    if options.seeds < 1 or options.steps < 1 or not all(1 <= k <= 255 for k in options.levels):
        raise ExperimentProblem("seeds and steps are 1 or more, grey levels 1 to 255")
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "frontier.csv"
    rows = read_rows(path)
    wanted = [
        (method, level, seed)
        for level in sorted(set(options.levels), reverse=True)
        for method in options.methods
        for seed in range(1, options.seeds + 1)
    ]
    for method, level, seed in wanted:
        key = (method, str(level), str(seed), str(options.steps))
        if key not in {tuple(row[c] for c in COLUMNS[:4]) for row in rows}:
            rows.append(_one(method, level, seed, options.steps, options.submission))
            _write(path, rows)
    shown = [row for row in rows if row["steps"] == str(options.steps)]
    print(table(shown))
    _plot(shown, options.out / "frontier.png")


def _one(method: str, level: int, seed: int, count: int, submission: Path | None) -> Row:
    from grader.lab.data import load_mnist
    from grader.lab.metrics import accuracy, predict
    from grader.lab.training import clean_start
    from grader.lab.triggers.backdoor import measure
    from grader.spec import load_spec

    test = load_mnist("test", grey_levels=True)
    spec = spec_for(load_spec(), level, seed, count)
    part = spec.invisible_trigger
    train = load_mnist("train", grey_levels=True)
    clean = clean_start(part.clean, part.clean_seed, train)
    with steps(f"{method} {level}/255 seed {seed}") as progress:
        backdoor = _train(method, spec, train, submission, progress)
    measured = measure(backdoor, test)
    return {
        "method": method,
        "grey_levels": str(level),
        "seed": str(seed),
        "steps": str(count),
        "acc": f"{measured.acc.value:.4f}",
        "asr": f"{measured.asr.value:.4f}",
        "clean_acc": f"{accuracy(predict(clean, test.x), test.y).value:.4f}",
    }


def spec_for(public: Spec, level: int, seed: int, count: int) -> Spec:
    """The public spec with another epsilon, seed and number of steps; delta's steps shrink with epsilon."""
    part = public.invisible_trigger
    attack = dataclasses.replace(
        part.attack, steps=count, model_learning_rate=4e-3, delta_learning_rate=level / 255 / 2
    )
    return dataclasses.replace(
        public,
        seed=seed,
        limits=dataclasses.replace(public.limits, run_seconds=3600, cpu_seconds=7200),
        invisible_trigger=dataclasses.replace(part, epsilon=level / 255, attack=attack),
    )


def _train(
    method: str, spec: Spec, train: Images, submission: Path | None, progress: StepProgress
) -> Backdoor:
    from grader.experiments.attack import invisible
    from grader.lab.training import clean_start
    from grader.lab.triggers import fixed

    if method == "joint":
        return invisible(submission, spec, progress)
    part = spec.invisible_trigger
    model = clean_start(part.clean, part.clean_seed, train)
    train_fixed: Callable[..., Backdoor] = fixed.random_trigger if method == "random" else fixed.universal
    return train_fixed(model, train, part.target, part.epsilon, part.attack, spec.seed, progress=progress)


def read_rows(path: Path) -> list[Row]:
    """The runs so far; none where there is no file.

    Raises:
        ExperimentProblem: the file has other columns.
    """
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise ExperimentProblem(f"{path} is not a table of this command; name another --out")
        return list(reader)


def _write(path: Path, rows: Sequence[Row]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, text.getvalue())


def reaches(row: Row) -> bool:
    """ASR of 99 % with at most 0.2 points of ACC less than the clean model has."""
    return (
        float(row["asr"]) >= LEAST_ASR
        and round(float(row["clean_acc"]) - float(row["acc"]), 6) <= LARGEST_DROP
    )


def table(rows: Sequence[Row]) -> str:
    """A Markdown table: for each method and epsilon, the means over the seeds and how many seeds reach the goal."""
    lines = [
        "| trigger | epsilon | ACC | ASR (lowest) | seeds with ASR >= 99 %, ACC drop <= 0.2 points |",
        "| --- | --- | --- | --- | --- |",
    ]
    for method in METHODS:
        for level in sorted({int(row["grey_levels"]) for row in rows}):
            group = [r for r in rows if r["method"] == method and r["grey_levels"] == str(level)]
            if not group:
                continue
            acc, asr = (mean(float(r[c]) for r in group) for c in ("acc", "asr"))
            lowest = min(float(r["asr"]) for r in group)
            reached = sum(reaches(r) for r in group)
            lines.append(
                f"| {method} | {level}/255 | {acc:.2%} | {asr:.2%} ({lowest:.2%}) | {reached} of {len(group)} |"
            )
    return "\n".join(lines)


def _plot(rows: Sequence[Row], path: Path) -> None:
    from grader.lab.plots import plot_rates

    series = {
        method: [
            (
                int(level),
                [float(r["asr"]) for r in rows if r["method"] == method and r["grey_levels"] == level],
            )
            for level in sorted({r["grey_levels"] for r in rows if r["method"] == method}, key=int)
        ]
        for method in METHODS
    }
    plot_rates(
        {name: points for name, points in series.items() if points},
        path, x_label="epsilon, in grey levels of 255", y_label="ASR after rounding to 8 bits",
        title="How small may the trigger be? Means over seeds, bars from lowest to highest", goal=LEAST_ASR,
    )  # fmt: skip
