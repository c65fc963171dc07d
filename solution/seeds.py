"""Where the thresholds come from: the reference solution graded with many seeds.

    python -m solution.seeds [--seeds 20] [--spec FILE] [--out solution/measured/public_seeds.csv]

Grades ``solution/`` as a student's submission would be, in the sandbox and with the audit, once a seed, and prints the
table with its mean, standard deviation and the largest threshold that leaves a margin of four standard deviations. A
row is written as soon as it is there, so a run that was stopped goes on where it was; rows of another spec or another
grader are measured again.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import hashlib
import math
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tqdm import tqdm

from grader.grading import Grading
from grader.isolation import ROOT
from grader.settings import PUBLIC_SPEC
from grader.spec import Spec, load_spec

COLUMNS = (
    "seed",
    "acc",
    "asr",
    "untriggered_rate",
    "audited_steps",
    "largest_audit_error",
    "training_seconds",
)

MARGIN = 4.0
"""Standard deviations between the mean and a threshold."""

Row = dict[str, float]


def measured_code(spec: Spec) -> str:
    """Changes with the settings and the code that decide the numbers; the thresholds themselves do not."""
    part = spec.invisible_trigger
    split = (part.split_seed,) if part.split_seed else ()
    settings = (part.target, part.epsilon, part.clean_seed, *split, part.clean, part.attack, spec.threads)
    trusted = (
        *("lab/training.py", "lab/adam.py", "lab/models.py", "lab/data.py"),
        *("audit.py", "parts/invisible_trigger_attack.py", "parts/invisible_trigger_steps.py"),
    )
    return code_of(settings, trusted, "invisible_trigger.py")


def code_of(settings: object, trusted: Sequence[str], *solved: str) -> str:
    """A short hash of settings and of files: ``trusted`` of ``grader/``, ``solved`` of ``solution/``."""
    digest = hashlib.sha256(repr(settings).encode())
    for name in trusted:
        digest.update((ROOT / "grader" / name).read_bytes())
    for name in solved:
        digest.update((ROOT / "solution" / name).read_bytes())
    return digest.hexdigest()[:12]


def measure(spec: Spec, seed: int) -> Row:
    """One row: the reference solution under this seed; with its numbers, which a hidden spec's report leaves out."""
    told = dataclasses.replace(spec.with_seed(seed), hidden=False)
    with Grading(ROOT / "solution", told) as grading:
        report = grading.report(["invisible_trigger"])
    metrics = report.metrics.get("invisible_trigger", {})
    if "acc" not in metrics:
        raise RuntimeError(f"seed {seed}: the solution could not be graded: {report.checks[-3:]}")
    values = {"seed": float(seed), **metrics}
    return {name: values[name] for name in COLUMNS}


def read_rows(path: Path, code: str) -> list[Row]:
    """The rows of the same spec and grader; none where the file is missing or from another one."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    if not lines or lines[0] != f"# {code}":
        return []
    return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(lines[1:])]


def write_rows(path: Path, code: str, rows: Sequence[Row], columns: Sequence[str] = COLUMNS) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", encoding="utf-8", newline="") as file:
        file.write(f"# {code}\n")
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: f"{v:.6g}" for k, v in row.items()} for row in rows)
    temporary.replace(path)


def kept_rows(
    measure_seed: Callable[[int], Row],
    path: Path,
    code: str,
    seeds: int,
    columns: Sequence[str] = COLUMNS,
    what: str = "Measuring",
) -> list[Row]:
    """The rows of seeds 1 to ``seeds``: from the file if this code made them, else measured and kept there at once."""
    rows = [row for row in read_rows(path, code) if row["seed"] <= seeds]
    done = {row["seed"] for row in rows}
    for seed in tqdm([s for s in range(1, seeds + 1) if s not in done], unit="seed", desc=what):
        rows.append(measure_seed(seed))
        write_rows(path, code, rows, columns)
    return rows


def table(rows: Sequence[Row]) -> str:
    """The rows and, for each metric, its distribution and the threshold that leaves the margin."""
    lines = ["  seed      ACC      ASR  without trigger  audited  largest error / tolerance"]
    lines += [
        f"{r['seed']:6.0f} {r['acc']:8.4f} {r['asr']:8.5f} {r['untriggered_rate']:16.4f}"
        f" {r['audited_steps']:8.0f} {r['largest_audit_error']:12.3f}"
        for r in rows
    ]
    for name in ("acc", "asr"):
        values = [r[name] for r in rows]
        mean, deviation = statistics.mean(values), statistics.stdev(values)
        limit = math.floor((mean - MARGIN * deviation) * 1e4) / 1e4
        lines.append(
            f"{name.upper()}: {len(rows)} seeds, mean {mean:.5f}, sd {deviation:.5f}, min {min(values):.5f};"
            f" a threshold of at most {limit:.4f} leaves {MARGIN:g} standard deviations"
        )
    audited = sum(r["audited_steps"] for r in rows)
    wrong = sum(r["largest_audit_error"] > 1 for r in rows)
    lines.append(f"audit: {audited:.0f} steps audited, {wrong} runs with a false alarm")
    return "\n".join(lines)


def read_options(name: str, about: str, out: Path, arguments: Sequence[str] | None) -> tuple[Spec, Path, int]:
    """The command line of a module that measures: (spec, where the table goes, how many seeds)."""
    parser = argparse.ArgumentParser(prog=f"python -m {name}", description=about.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=20, help="how many, from 1 on (at least 2)")
    parser.add_argument("--spec", type=Path, default=PUBLIC_SPEC, help="spec file")
    parser.add_argument("--out", type=Path, default=out, help="the table as CSV")
    options = parser.parse_args(arguments)
    if options.seeds < 2:
        parser.error("a distribution needs at least 2 seeds")
    return load_spec(options.spec), options.out, options.seeds


def main(arguments: Sequence[str] | None = None) -> int:
    out = ROOT / "solution" / "measured" / "public_seeds.csv"
    spec, out, seeds = read_options("solution.seeds", __doc__ or "", out, arguments)
    rows = kept_rows(lambda seed: measure(spec, seed), out, measured_code(spec), seeds)
    print(table(sorted(rows, key=lambda row: row["seed"])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
