"""Where part 3's thresholds come from: the reference solution's two defences under many seeds.

    python -m solution.repair_seeds [--seeds 20] [--spec FILE] [--out solution/measured/repair_seeds.csv]

Like ``python -m solution.seeds`` for part 1, but in this process, without the sandbox: a defence calls each function of
the solution once or twice. A seed decides which clean images the defender has, the order of fine-tuning, and what
clustering and scrambling draw; the two victims are the spec's.
"""

from __future__ import annotations

import dataclasses
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.grading import Grading
from grader.isolation import ROOT
from grader.lab.training import clean_file_name
from grader.spec import Spec
from solution.seeds import MARGIN, Row, code_of, kept_rows, read_options

OUT = ROOT / "solution" / "measured" / "repair_seeds.csv"
PARTS = ("fine_pruning", "activation_clustering")
_CODE = (
    *("lab/victims.py", "lab/models.py", "lab/data.py", "lab/training.py"),
    *("lab/defences/fine_pruning.py", "lab/defences/activation_clustering.py", "lab/defences/repair.py"),
    *("parts/fine_pruning_outcome.py", "parts/activation_clustering_outcome.py"),
)


@dataclass(frozen=True)
class Goal:
    """One threshold of the spec: of ``part``, by its ``key`` there; what is asked for is at least or at most it."""

    part: str
    key: str
    at_least: bool = False

    @property
    def column(self) -> str:
        return f"{self.part}.{self.key}"

    def limit(self, rows: Sequence[Row]) -> float:
        """What the solution keeps to with the margin, given its distribution."""
        values = [row[self.column] for row in rows]
        margin = MARGIN * statistics.stdev(values)
        return statistics.mean(values) + (-margin if self.at_least else margin)

    def asked(self, spec: Spec) -> float:
        """What the spec asks for."""
        return float(getattr(getattr(spec, self.part).thresholds, self.key))

    def holds(self, found: float, asked: float) -> bool:
        """``found`` is as good as ``asked``, or better."""
        return found >= asked if self.at_least else found <= asked


GOALS = (
    Goal("fine_pruning", "asr"),
    Goal("fine_pruning", "acc_drop"),
    Goal("activation_clustering", "f1", at_least=True),
    Goal("activation_clustering", "asr"),
    Goal("activation_clustering", "acc_drop"),
)
COLUMNS = ("seed", *(goal.column for goal in GOALS))


def measured_code(spec: Spec) -> str:
    """Changes with the settings and the code that decide the numbers; the thresholds themselves do not."""
    first, loose = spec.invisible_trigger, []
    for part in PARTS:
        settings = dataclasses.asdict(getattr(spec, part))
        del settings["thresholds"]
        loose.append(sorted(settings.items()))
    start = clean_file_name(first.clean, first.clean_seed, first.split_seed)
    return code_of((first.target, start, *loose), _CODE, *(f"{part}.py" for part in PARTS))


def measure(spec: Spec, seed: int) -> Row:
    """One row: both defences of the reference solution under this seed.

    Raises:
        RuntimeError: a defence of the solution could not be graded to its end.
    """
    told = dataclasses.replace(spec.with_seed(seed), hidden=False)
    with Grading(ROOT / "solution", told, isolation="none") as grading:
        outcomes = [grading.outcome(f"{part}.outcome.acc") for part in PARTS]
        found = grading.report_finished().metrics
    try:
        pruning, clustering = (found[part] for part in PARTS)
        return {
            "seed": float(seed),
            "fine_pruning.asr": pruning["asr_tuned"],
            "fine_pruning.acc_drop": pruning["acc_before"] - pruning["acc_tuned"],
            "activation_clustering.f1": clustering["f1"],
            "activation_clustering.asr": clustering["asr_after"],
            "activation_clustering.acc_drop": clustering["acc_before"] - clustering["acc_after"],
        }
    except KeyError as error:
        raise RuntimeError(f"seed {seed}: the solution could not be graded: {outcomes}") from error


def measured_rows(spec: Spec, path: Path, seeds: int) -> list[Row]:
    """The rows of so many seeds, each kept in the file as soon as it is there."""
    return kept_rows(lambda seed: measure(spec, seed), path, measured_code(spec), seeds, COLUMNS, "Defences")


def summary(rows: Sequence[Row], goals: Sequence[Goal] = GOALS) -> list[str]:
    """A line a goal: the distribution, and what lies the margin away from its mean."""
    lines = []
    for goal in goals:
        values = [row[goal.column] for row in rows]
        worst, side = (min, "below") if goal.at_least else (max, "above")
        lines.append(
            f"{goal.column}: {len(rows)} seeds, mean {statistics.mean(values):.5f}, sd {statistics.stdev(values):.5f}, "
            f"{worst.__name__} {worst(values):.5f}; {MARGIN:g} standard deviations {side}: {goal.limit(rows):.5f}"
        )
    return lines


def table(rows: Sequence[Row]) -> str:
    """The rows, and the distribution of what is asked for."""
    lines = ["  seed  pruned: ASR  ACC drop   clustered: F1      ASR  ACC drop"]
    for row in rows:
        asr, drop, f1, forgotten, lost = (row[name] for name in COLUMNS[1:])
        lines.append(f"{row['seed']:6.0f} {asr:12.5f} {drop:9.4f} {f1:15.4f} {forgotten:8.5f} {lost:9.4f}")
    return "\n".join([*lines, *summary(rows)])


def main(arguments: Sequence[str] | None = None) -> int:
    spec, out, seeds = read_options("solution.repair_seeds", __doc__ or "", OUT, arguments)
    print(table(sorted(measured_rows(spec, out, seeds), key=lambda row: row["seed"])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
