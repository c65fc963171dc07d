"""``python -m grader lab frontier``: how small may epsilon be? Joint training against triggers that are not learned.

For each epsilon of k grey levels and each seed, three backdoors of the same number of steps from the same clean model:

- ``joint``: part 1's attack, trigger and model trained together, with a submission's functions in the sandbox;
- ``random``: a fixed random trigger, every pixel +epsilon or -epsilon; only the model is trained;
- ``universal``: a universal perturbation of the clean model (Moosavi-Dezfooli et al. 2017, here targeted and by
  gradient); only the trigger is trained, and the model stays clean.

A model that cannot see a trigger of one grey level yet stays where it answers "true class or target, even odds"
whatever the image is. So the two that train a model begin with a larger epsilon, which then shrinks to k (``stages``).

ACC and ASR are of images rounded to 8 bits: one grey level is the smallest change that an image file can hold.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from grader.experiments.common import ExperimentProblem, StepProgress, guarded, steps
from grader.experiments.origin import claim
from grader.experiments.tables import Row, markdown, read_rows, spread, write_rows
from grader.processors import beside_a_child

if TYPE_CHECKING:
    from grader.lab.data import Images
    from grader.lab.models import LeNet5
    from grader.lab.triggers.backdoor import Backdoor
    from grader.spec import Spec

COLUMNS = ("method", "grey_levels", "seed", "steps", "acc", "asr", "clean_acc")
METHODS = ("joint", "random", "universal")
LEAST_ASR, LARGEST_DROP = 0.99, 0.002


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "frontier",
        help="the smallest epsilon that still works",
        description="Writes frontier.csv (a row a run; a run that is there is not repeated) and frontier.png to --out. "
        "One --out for one submission.",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the results go")
    parser.add_argument(
        "--submission", type=Path, metavar="DIR", help="whose functions (default: assignment)"
    )
    parser.add_argument(
        "--levels", type=int, nargs="+", default=[1, 2, 3, 4, 8], metavar="K", help="epsilons, in grey levels"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="the first seed (default: 1)")
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="so many from it on (default: 5)")
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
    rows = read_rows(path, COLUMNS)
    claim(options.out, options.submission, options.methods)
    wanted = [
        (method, level, seed)
        for level in sorted(set(options.levels), reverse=True)
        for method in options.methods
        for seed in range(options.seed, options.seed + options.seeds)
    ]
    for method, level, seed in wanted:
        key = (method, str(level), str(seed), str(options.steps))
        if key not in {tuple(row[c] for c in COLUMNS[:4]) for row in rows}:
            rows.append(_one(method, level, seed, options.steps, options.submission))
            write_rows(path, COLUMNS, rows)
    print(table(rows))
    draw(rows, options.out / "frontier.png")


def _one(method: str, level: int, seed: int, count: int, submission: Path | None) -> Row:
    from grader.lab.data import load_mnist
    from grader.lab.metrics import accuracy, predict
    from grader.lab.training import clean_start
    from grader.lab.triggers.backdoor import rates
    from grader.spec import load_spec

    train, test = (load_mnist(split, grey_levels=True) for split in ("train", "test"))
    public = load_spec()
    part = public.invisible_trigger
    clean = clean_start(part.clean, part.clean_seed, train)
    clean_acc = accuracy(predict(clean, test.x), test.y)
    plan = [Stage(level, count, 0.0)] if method == "universal" else stages(level, count)
    specs = [spec_for(public, seed, stage) for stage in plan]
    with steps(f"{method} {level}/255 seed {seed}") as progress:
        train_it = _joint if method == "joint" else _without_joint
        acc, asr = rates(
            train_it(method, specs, clean, train, submission, _over_stages(progress, plan)), test
        )
    return {
        "method": method, "grey_levels": str(level), "seed": str(seed), "steps": str(count),
        "acc": f"{acc.value:.4f}", "asr": f"{asr.value:.4f}", "clean_acc": f"{clean_acc.value:.4f}",
    }  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """A part of the training with one epsilon, in grey levels, and learning rates of its own."""

    grey_levels: float
    steps: int
    model_learning_rate: float


def stages(level: int, count: int) -> list[Stage]:
    """``count`` steps in all: with 4, 2 and 1.5 grey levels as long as these are more than ``level``, then with it."""
    larger = [
        Stage(levels, round(share * count), rate)
        for levels, share, rate in ((4.0, 1 / 8, 8e-3), (2.0, 1 / 6, 6e-3), (1.5, 1 / 6, 4e-3))
        if levels > level
    ]
    rest = count - sum(stage.steps for stage in larger)
    return [*larger, Stage(level, rest, 4e-3 if larger else 8e-3)]


def spec_for(public: Spec, seed: int, stage: Stage) -> Spec:
    """The public spec with the stage's epsilon, rates and number of steps; delta's steps shrink with epsilon."""
    import torch

    part = public.invisible_trigger
    epsilon = stage.grey_levels / 255
    attack = dataclasses.replace(
        part.attack,
        steps=stage.steps,
        model_learning_rate=stage.model_learning_rate,
        delta_learning_rate=epsilon / 4,
    )
    # as many threads as this process has: with OMP_NUM_THREADS=1 several runs get on side by side
    threads = dataclasses.replace(public.threads, child=min(public.threads.child, torch.get_num_threads()))
    return dataclasses.replace(
        public,
        seed=seed,
        threads=threads,
        limits=dataclasses.replace(
            public.limits, start_seconds=300.0, load_seconds=300.0, run_seconds=7200.0, cpu_seconds=7200
        ),
        invisible_trigger=dataclasses.replace(part, epsilon=epsilon, attack=attack),
    )


def _over_stages(progress: StepProgress, plan: Sequence[Stage]) -> StepProgress:
    """Progress of all stages, told by one stage after the other."""
    total, seen = sum(stage.steps for stage in plan), 0

    def told(done: int, of: int, loss: float) -> None:
        nonlocal seen
        seen += 1
        progress(seen, total, loss)

    return told


def _joint(
    method: str,
    specs: Sequence[Spec],
    model: LeNet5,
    train: Images,
    submission: Path | None,
    progress: StepProgress,
) -> Backdoor:
    """Stage after stage with the submission's steps; delta goes on from where the stage before left it."""
    import torch

    from grader.calls import Finding
    from grader.contract import INVISIBLE_TRIGGER
    from grader.grading import Grading
    from grader.lab.training import train_backdoor
    from grader.lab.triggers.backdoor import Backdoor
    from grader.lab.triggers.invisible import Perturbation
    from grader.outcome import Status
    from grader.parts.invisible_trigger_steps import ChildStepper
    from grader.parts.run import PartRun
    from grader.settings import ASSIGNMENT, UsageProblem
    from grader.submission import SubmissionError

    part = specs[-1].invisible_trigger
    try:
        grading = Grading(submission or ASSIGNMENT, specs[0])
    except SubmissionError as error:
        raise UsageProblem(str(error)) from error
    delta = torch.zeros(1, *train.x.shape[1:])
    generator = torch.Generator().manual_seed(specs[0].seed)
    with grading:
        for check in INVISIBLE_TRIGGER.checks:
            if not check.is_outcome and (found := grading.outcome(check.id)).status is not Status.PASSED:
                raise ExperimentProblem(f"the submission's attack does not run: {found.got} {found.hint}")
        for spec in specs:
            own = spec.invisible_trigger
            torch.set_num_threads(spec.threads.parent)
            run = PartRun(spec, grading.student(INVISIBLE_TRIGGER.name), 0)
            try:
                stepper = ChildStepper(run, start=delta.clamp(-own.epsilon, own.epsilon))
                with beside_a_child(spec.threads.child, own=spec.threads.parent):
                    train_backdoor(model, stepper, train, own.attack, generator, progress=progress)
            except Finding as finding:
                raise ExperimentProblem(f"the submission's attack does not run: {finding.key}") from finding
            delta = stepper.delta.clone()
    return Backdoor(model.eval(), Perturbation(delta, part.epsilon), part.target)


def _without_joint(
    method: str,
    specs: Sequence[Spec],
    model: LeNet5,
    train: Images,
    submission: Path | None,
    progress: StepProgress,
) -> Backdoor:
    """The trigger alone, or the model alone."""
    import torch

    from grader.lab.triggers import fixed
    from grader.lab.triggers.invisible import Perturbation

    generator = torch.Generator().manual_seed(specs[0].seed)
    part = specs[-1].invisible_trigger
    if method == "universal":
        return fixed.universal(
            model, train, part.target, part.epsilon, part.attack, generator, progress=progress
        )
    signs = fixed.random_perturbation(tuple(train.x.shape[1:]), 1.0, generator).delta
    for spec in specs:
        own = spec.invisible_trigger
        trigger = Perturbation(own.epsilon * signs, own.epsilon)
        found = fixed.plant(
            model.train(), train, trigger, own.target, own.attack, generator, progress=progress
        )
    return found


def reaches(row: Row) -> bool:
    """ASR of 99 % with at most 0.2 points of ACC less than the clean model has."""
    return (
        float(row["asr"]) >= LEAST_ASR
        and round(float(row["clean_acc"]) - float(row["acc"]), 6) <= LARGEST_DROP
    )


def table(rows: Sequence[Row]) -> str:
    """A Markdown table: for each method and epsilon, the means over the seeds and how many seeds reach the goal."""
    lines = []
    for method, level, count in _groups(rows):
        group = _of(rows, method, level, count)
        acc, asr = ([float(r[c]) for r in group] for c in ("acc", "asr"))
        drop = mean(100 * (float(r["clean_acc"]) - float(r["acc"])) for r in group)
        reached = sum(reaches(r) for r in group)
        lines.append(
            [method, f"{level}/255", f"{count:,}", spread(asr, ".2%"), spread(acc, ".2%"), f"{drop:+.2f} points",
             f"{reached} of {len(group)}"]
        )  # fmt: skip
    head = ["trigger", "epsilon", "steps", "ASR", "ACC", "ACC drop", "seeds that reach the goal"]
    return markdown(head, lines)


def _groups(rows: Sequence[Row]) -> list[tuple[str, int, int]]:
    """(method, epsilon, steps) of all rows, in the order of the methods."""
    found = {(row["method"], int(row["grey_levels"]), int(row["steps"])) for row in rows}
    return sorted(found, key=lambda key: (METHODS.index(key[0]), key[1:]))


def _of(rows: Sequence[Row], method: str, level: int, count: int) -> list[Row]:
    key = (method, str(level), str(count))
    return [r for r in rows if (r["method"], r["grey_levels"], r["steps"]) == key]


def draw(rows: Sequence[Row], path: Path) -> None:
    """ASR and what it costs in ACC, against epsilon; of several numbers of steps the largest one's."""
    from grader.experiments.pictures import plot_frontier

    series: dict[str, list[tuple[int, list[float], list[float]]]] = {}
    longest = {(method, level): count for method, level, count in _groups(rows)}
    for (method, level), count in longest.items():
        group = _of(rows, method, level, count)
        drops = [float(r["clean_acc"]) - float(r["acc"]) for r in group]
        series.setdefault(method, []).append((level, [float(r["asr"]) for r in group], drops))
    plot_frontier(series, path, least_asr=LEAST_ASR, largest_drop=LARGEST_DROP)
