"""Where part 2's thresholds come from: the reference solution graded with many seeds, each with other targets.

    python -m solution.clean_label_seeds [--seeds 20] [--spec FILE] [--out solution/measured/clean_label_seeds.csv]

Like ``python -m solution.seeds`` for part 1: in the sandbox, a row as soon as it is there. The number of turned targets
that is asked for must lie four standard deviations below the mean, and the accepted fall of the accuracy above.
"""

from __future__ import annotations

import dataclasses
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from grader.grading import Grading
from grader.isolation import ROOT
from grader.spec import Spec
from solution.seeds import MARGIN, Row, code_of, kept_rows, read_options

COLUMNS = ("seed", "turned", "targets", "clean_acc", "acc", "acc_drop", "linf", "psnr", "ssim",
           "distance_before", "distance_after", "crafting_seconds")  # fmt: skip
OUT = ROOT / "solution" / "measured" / "clean_label_seeds.csv"
_CODE = (
    *("lab/last_layer.py", "lab/models.py", "lab/data.py"),
    *("parts/clean_label_victims.py", "parts/clean_label_outcome.py"),
)


def measured_code(spec: Spec) -> str:
    """Changes with the settings and the code that decide the numbers; the thresholds themselves do not."""
    first = spec.invisible_trigger
    attack = dataclasses.replace(spec.clean_label.mnist, turned=1, acc_drop=1.0)
    settings = (first.clean, first.clean_seed, first.split_seed, attack)
    return code_of(settings, _CODE, "clean_label.py")


def measure(spec: Spec, seed: int) -> Row:
    """One row: the reference solution under this seed; on MNIST alone, with its numbers."""
    told = dataclasses.replace(spec.with_seed(seed), hidden=False)
    with Grading(ROOT / "solution", told) as grading:
        outcome = grading.outcome("clean_label.outcome.turned")
        metrics = grading.report_finished().metrics.get("clean_label", {})
    if "turned" not in metrics:
        raise RuntimeError(f"seed {seed}: the solution could not be graded: {outcome}")
    values = {"seed": float(seed), **metrics}
    return {name: values[name] for name in COLUMNS}


def measured_rows(spec: Spec, path: Path, seeds: int) -> list[Row]:
    """The rows of so many seeds, each kept in the file as soon as it is there."""
    return kept_rows(
        lambda seed: measure(spec, seed), path, measured_code(spec), seeds, COLUMNS, "Clean label"
    )


def margins(rows: Sequence[Row]) -> tuple[float, float]:
    """(turned targets, fall of the accuracy) that the solution keeps to with the margin, given its distribution."""
    turned, drops = ([row[name] for row in rows] for name in ("turned", "acc_drop"))
    return (
        statistics.mean(turned) - MARGIN * statistics.stdev(turned),
        statistics.mean(drops) + MARGIN * statistics.stdev(drops),
    )


def table(rows: Sequence[Row]) -> str:
    """The rows, and the distribution of what is asked for."""
    lines = ["  seed  turned  ACC before   after    drop    PSNR  feature distance"]
    lines += [
        f"{r['seed']:6.0f} {r['turned']:4.0f}/{r['targets']:.0f} {r['clean_acc']:10.4f} {r['acc']:8.4f}"
        f" {r['acc_drop']:8.4f} {r['psnr']:6.1f} {r['distance_before']:8.2f} -> {r['distance_after']:.2f}"
        for r in rows
    ]
    least, most = margins(rows)
    turned, drops = ([row[name] for row in rows] for name in ("turned", "acc_drop"))
    lines.append(
        f"turned: {len(rows)} seeds, mean {statistics.mean(turned):.2f}, sd {statistics.stdev(turned):.2f}, min "
        f"{min(turned):.0f}; {MARGIN:g} standard deviations below: {least:.2f}"
    )
    lines.append(
        f"ACC drop: mean {statistics.mean(drops):.5f}, sd {statistics.stdev(drops):.5f}, max {max(drops):.5f}; "
        f"{MARGIN:g} standard deviations above: {most:.5f}"
    )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    spec, out, seeds = read_options("solution.clean_label_seeds", __doc__ or "", OUT, arguments)
    rows = measured_rows(spec, out, seeds)
    print(table(sorted(rows, key=lambda row: row["seed"])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
