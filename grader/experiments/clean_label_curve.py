"""``python -m grader lab clean-label-curve``: how many poisons does it take, in how large a fine-tuning set?

For each budget poisons are crafted once; fewer of them are the first of the many. Every victim of the same size
fine-tunes on the same images, and a smaller set is part of a larger one. Two controls: no poison at all, and in the
places of the most poisons a watermark of the target, within the budget.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from grader.experiments.clean_label import write_table
from grader.experiments.clean_label_options import add_attack_options, algorithm_of, budget, craft_settings
from grader.experiments.common import ExperimentProblem, guarded, steps
from grader.experiments.crafting import Crafted, CraftSettings, block_end, craft
from grader.experiments.fine_tuning import Sample, attack, draw_sample, unharmed
from grader.experiments.victim import Victim, load_victim

if TYPE_CHECKING:
    from grader.lab.clean_label import Outcome, Targets

Row = dict[str, str]
KEY = ("attack", "budget", "poisons", "images", "fine_tuning", "targets", "pool", "seed")
COLUMNS = (
    *KEY, "turned", "acc_before", "acc_after", "acc_lowest", "others_flipped", "others",
    "linf", "psnr", "ssim", "distance_before", "distance_after",
)  # fmt: skip
GOAL = 0.9
CRAFTED, WATERMARK, NONE = "poisons", "watermark", "none"


@dataclass(frozen=True)
class Cell:
    """One point of the curve."""

    attack: str
    budget: str
    poisons: int
    images: int
    fine_tuning: str


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "clean-label-curve",
        help="poison frogs: success over poisons, fine-tuning images and budgets",
        description="Writes clean_label_curve.csv (a row a point; one that is there is not repeated) and a plot to "
        "--out, and prints the table.",
    )
    parser.add_argument("--targets", type=int, default=100, metavar="N", help="default: 100")
    parser.add_argument(
        "--poisons", type=int, nargs="+", default=[1, 2, 5, 10, 25], metavar="N", help="a target"
    )
    parser.add_argument(
        "--images", type=int, nargs="+", default=[500, 1000, 2500, 10_000, 50_000], metavar="N",
        help="sizes of the fine-tuning set",
    )  # fmt: skip
    parser.add_argument(
        "--sgd", type=int, nargs="*", default=[2500], metavar="N",
        help="sizes at which victims also train as in the poisoning benchmark, 40 epochs of SGD (default: 2500)",
    )  # fmt: skip
    parser.add_argument(
        "--budgets", type=budget, nargs="+", default=[8 / 255, 16 / 255, None], metavar="LEVELS",
        help="largest change of a pixel in grey levels of 255, or `beta` for none (default: 8 16 beta)",
    )  # fmt: skip
    parser.add_argument(
        "--watermark", type=float, default=0.3, metavar="OPACITY", help="of the control (default: 0.3)"
    )
    add_attack_options(parser)
    parser.set_defaults(run=guarded(_run))


def _run(options: argparse.Namespace) -> None:
    from grader.lab.clean_label import choose_targets

    path = options.out / "clean_label_curve.csv"
    if options.targets < 1 or min(options.poisons) < 1:
        raise ExperimentProblem("targets and poisons are 1 or more")
    settings = [craft_settings(options, epsilon) for epsilon in options.budgets]
    if not 0 < options.watermark < 1:
        raise ExperimentProblem(f"a watermark's opacity is in (0, 1), not {options.watermark}")
    rows = read_rows(path)
    victim = load_victim(options)
    targets = choose_targets(victim.test, victim.predictions, options.targets, options.seed)
    curve = _Curve(victim, targets, options.seed, path, rows)
    curve.measure((Cell(NONE, "-", 0, *sample) for sample in _samples(options)), None)
    with algorithm_of(options, victim) as algorithm:
        for setting in settings:
            control = CraftSettings(setting.epsilon, iterations=0, watermark=options.watermark)
            kinds = [(CRAFTED, setting, count) for count in sorted(options.poisons)]
            for name, how, count in (*kinds, (WATERMARK, control, max(options.poisons))):
                folder = options.out / "crafted" / how.folder
                most = block_end(count, max(options.poisons))
                with steps(f"{name} {setting.budget}, {most} a target") as progress:
                    crafted = craft(algorithm, victim, targets, most, how, folder, progress).first(count)
                samples = _samples(options)
                curve.measure((Cell(name, setting.budget, count, *sample) for sample in samples), crafted)
    print(table(curve.rows))
    plot(curve.rows, options.out / "clean_label_curve.png")


def _samples(options: argparse.Namespace) -> Iterator[tuple[int, str]]:
    """Size and method of each fine-tuning."""
    yield from ((images, "converged") for images in sorted(options.images))
    yield from ((images, "sgd") for images in sorted(options.sgd))


class _Curve:
    """Measures cells that are not in the table yet and writes the table after each."""

    def __init__(self, victim: Victim, targets: Targets, seed: int, path: Path, rows: list[Row]) -> None:
        self._victim, self._targets, self._seed, self._path = victim, targets, seed, path
        self.rows = rows
        self._samples: dict[tuple[int, str], Sample] = {}

    def measure(self, cells: Iterator[Cell], crafted: Crafted | None) -> None:
        """Cells of these poisons; None: of none."""
        for cell in cells:
            key = self._key(cell)
            if key in {tuple(row[name] for name in KEY) for row in self.rows}:
                continue
            if cell.poisons > cell.images // 10:
                continue  # there are no so many images of a class to put them in the places of
            with steps(f"{cell.poisons} poisons, {cell.images} images, {cell.fine_tuning}") as progress:
                sample = self._sample(cell.images, cell.fine_tuning)
                if crafted is None:
                    outcome = unharmed(self._victim, sample, self._targets)
                else:
                    outcome = attack(self._victim, sample, self._targets, crafted, progress)
            self.rows.append(dict(zip(KEY, key, strict=True)) | self._found(outcome, crafted))
            write_table(self._path, self.rows)

    def _key(self, cell: Cell) -> tuple[str, ...]:
        values = (cell.attack, cell.budget, cell.poisons, cell.images, cell.fine_tuning)
        return tuple(str(v) for v in (*values, len(self._targets), len(self._victim.train), self._seed))

    def _sample(self, images: int, method: str) -> Sample:
        if (images, method) not in self._samples:
            with steps(f"without poisons, {images} images, {method}") as progress:
                self._samples[images, method] = draw_sample(
                    self._victim, images, method, self._seed, progress
                )
        return self._samples[images, method]

    def _found(self, outcome: Outcome, crafted: Crafted | None) -> Row:
        found = {
            "turned": str(outcome.rate.hits),
            "acc_before": f"{outcome.acc_before.value:.4f}",
            "acc_after": f"{float(outcome.acc_after.mean()):.4f}",
            "acc_lowest": f"{float(outcome.acc_after.min()):.4f}",
            "others_flipped": str(int(outcome.others_flipped.sum())),
            "others": str(int(outcome.others.sum())),
        }
        nothing = dict.fromkeys(("linf", "psnr", "ssim", "distance_before", "distance_after"), "")
        return found | (nothing if crafted is None else looks(self._victim, self._targets, crafted))


def looks(victim: Victim, targets: Targets, crafted: Crafted) -> Row:
    """How far the poisons are from their bases, as 8-bit images, and from their targets, in feature space."""
    from grader.lab.data import to_float
    from grader.lab.metrics import linf, psnr, ssim

    bases = to_float(victim.train.x[crafted.bases.flatten()])
    poisons = to_float(crafted.poisons.flatten(0, 1))
    aims = victim.test_features[targets.index].unsqueeze(1)
    distances = [
        (f - aims).norm(dim=2).mean() for f in (victim.train_features[crafted.bases], crafted.features)
    ]
    return {
        "linf": f"{float(linf(bases, poisons).max()) * 255:.0f}",
        "psnr": f"{float(psnr(bases, poisons).mean()):.2f}",
        "ssim": f"{float(ssim(bases, poisons).mean()):.4f}",
        "distance_before": f"{float(distances[0]):.3f}",
        "distance_after": f"{float(distances[1]):.3f}",
    }


def read_rows(path: Path) -> list[Row]:
    """The points so far; none where there is no file.

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


def table(rows: Sequence[Row], method: str = "converged") -> str:
    """A Markdown table of one way to fine-tune: targets turned, with Wilson's 95 % interval in percent."""
    from grader.lab.metrics import Rate

    rows = [row for row in rows if row["fine_tuning"] == method]
    sizes = sorted({int(row["images"]) for row in rows})
    lines = [
        "| | poisons | " + " | ".join(f"{size:,}" for size in sizes) + " | PSNR | feature distance |",
        "| --- " * (len(sizes) + 4) + "|",
    ]
    groups = dict.fromkeys((row["attack"], row["budget"], row["poisons"]) for row in rows)
    for name, bound, poisons in groups:
        own = {
            int(r["images"]): r
            for r in rows
            if (r["attack"], r["budget"], r["poisons"]) == (name, bound, poisons)
        }
        cells = []
        for size in sizes:
            if size not in own:
                cells.append("")
                continue
            rate = Rate(int(own[size]["turned"]), int(own[size]["targets"]))
            low, high = rate.interval
            cells.append(f"{rate.hits} ({100 * low:.0f}–{100 * high:.0f})")
        any_row = next(iter(own.values()))
        apart = f"{any_row['distance_before']} → {any_row['distance_after']}" if any_row["psnr"] else ""
        psnr = f"{any_row['psnr']} dB" if any_row["psnr"] else ""
        what = {CRAFTED: bound, WATERMARK: f"watermark only, {bound}", NONE: "no poison"}[name]
        lines.append(f"| {what} | {poisons} | {' | '.join(cells)} | {psnr} | {apart} |")
    return "\n".join(lines)


def plot(rows: Sequence[Row], path: Path) -> None:
    """Success over the size of the fine-tuning set, converged: a panel a budget."""
    from grader.lab.clean_label_plots import Line, plot_curve
    from grader.lab.metrics import Rate

    rows = [row for row in rows if row["fine_tuning"] == "converged"]

    def line(name: str, attack_: str, bound: str, poisons: str | None) -> Line:
        points = {
            int(r["images"]): Rate(int(r["turned"]), int(r["targets"]))
            for r in rows
            if r["attack"] == attack_ and r["budget"] == bound and poisons in (None, r["poisons"])
        }
        return Line(name, sorted(points.items()), attack_ != CRAFTED)

    panels = {}
    for bound in dict.fromkeys(r["budget"] for r in rows if r["attack"] == CRAFTED):
        counts = sorted({int(r["poisons"]) for r in rows if r["budget"] == bound})
        lines = [line(f"{n} poison{'s' * (n != 1)}", CRAFTED, bound, str(n)) for n in counts]
        lines.append(line(f"{counts[-1]} watermarks", WATERMARK, bound, str(counts[-1])))
        lines.append(line("no poison", NONE, "-", None))
        title = "no bound, beta alone" if bound == "beta" else f"every pixel within {bound}"
        panels[title] = [entry for entry in lines if entry.points]
    if panels:
        plot_curve(panels, GOAL, path)
