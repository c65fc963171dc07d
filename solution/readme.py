"""Writes the measured parts of the README from the tables that the measuring commands left.

    python -m solution.readme [--check] [--pictures] [--take DIR ...]

Between ``<!-- measured: NAME -->`` and ``<!-- end -->`` stands nothing but what a command printed. ``--check`` only
says whether it still does; ``--pictures`` first grades the solution and takes its pictures over; ``--take`` first takes
over what ``lab matrix``, ``alarms``, ``frontier`` and ``clean-label-curve`` left in these folders.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from grader.experiments import alarms, clean_label_curve, frontier, matrix_table
from grader.experiments.tables import Row, read_rows, write_rows
from grader.isolation import ROOT
from grader.lab.extractor import RESNET18
from grader.outcome import write_whole
from solution import readme_clean_label

README = ROOT / "README.md"
MEASURED = ROOT / "solution" / "measured"
BENCHMARKS = ("steps", "usual", "grade", "class", "clean_label", "defences")
PICTURES = ("trigger.png", "triggered_samples.png")
EXAMPLES = ("fine_pruning.png", "activation_clustering.png", "neural_cleanse.png", "strip.png")
"""The defences' pictures on a visible patch."""
_SECTION = re.compile(r"(<!-- measured: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def seeds() -> str:
    """ACC and ASR of the solution over the seeds of ``python -m solution.seeds``."""
    lines = (MEASURED / "public_seeds.csv").read_text(encoding="utf-8").splitlines()
    rows = list(csv.DictReader(lines[1:]))
    text = ["| | mean | standard deviation | lowest |", "| --- | --- | --- | --- |"]
    for name in ("acc", "asr"):
        values = [float(row[name]) for row in rows]
        cells = (
            f"{statistics.mean(values):.2%}",
            f"{100 * statistics.stdev(values):.2f} points",
            f"{min(values):.2%}",
        )
        text.append(f"| {name.upper()}, {len(rows)} seeds | " + " | ".join(cells) + " |")
    return "\n".join(text)


def bench() -> str:
    """What ``make bench`` printed, one benchmark after the other."""
    files = [ROOT / "tests" / "bench" / "measured" / f"{name}.txt" for name in BENCHMARKS]
    return "```\n" + "\n\n".join(path.read_text(encoding="utf-8").strip() for path in files) + "\n```"


def validity() -> str:
    """What ``make validity`` found."""
    return (ROOT / "tests" / "validity" / "TABLE.md").read_text(encoding="utf-8").strip()


TABLES = {
    "matrix.csv": matrix_table.COLUMNS,
    alarms.FILE: alarms.COLUMNS,
    "frontier.csv": frontier.COLUMNS,
    "clean_label_curve.csv": clean_label_curve.COLUMNS,
}
"""The experiments' tables that ``--take`` takes over."""


def rows_of(table: str) -> list[Row]:
    """The rows of a table in ``solution/measured``."""
    return read_rows(MEASURED / table, TABLES[table])


def attacks_and_defences() -> str:
    """The tables of ``python -m grader lab matrix``."""
    return matrix_table.table(rows_of("matrix.csv"), rows_of(alarms.FILE))


def smallest_epsilon() -> str:
    """The table of ``python -m grader lab frontier``."""
    return frontier.table(rows_of("frontier.csv"))


def clean_label() -> str:
    """What ``python -m grader lab clean-label-curve`` found."""
    network = readme_clean_label.network(RESNET18.with_suffix(".json"))
    return network + "\n\n" + readme_clean_label.section(MEASURED / "clean_label_curve.csv")


def ablation() -> str:
    """What ``make ablation`` found, in one sentence."""
    return (ROOT / "tests" / "ablation" / "TABLE.md").read_text(encoding="utf-8").splitlines()[0]


def fuzzing() -> str:
    """How many inputs ``python -m tests.fuzz`` has fed to each reader."""
    runs = json.loads((ROOT / "tests" / "fuzz" / "RESULTS.json").read_text(encoding="utf-8"))
    inputs = {"answers": "answers of a worker", "intake": "submissions"}
    counts = ", ".join(
        f"{run['inputs']:,} {inputs.get(name, name)} (grader `{run['grader']}`)" for name, run in runs.items()
    )
    return f"{counts}; each was read or refused with one of the errors that its reader defines."


def killed() -> str:
    """What ``python -m tests.class_of_200`` printed."""
    text = (ROOT / "tests" / "measured" / "class_of_200.txt").read_text(encoding="utf-8")
    return f"```\n{text.strip()}\n```"


def audit() -> str:
    """What ``python -m tests.audit_power`` computed."""
    return (ROOT / "tests" / "measured" / "audit_power.md").read_text(encoding="utf-8").strip()


SECTIONS: dict[str, Callable[[], str]] = {
    "seeds": seeds,
    "bench": bench,
    "validity": validity,
    "ablation": ablation,
    "fuzzing": fuzzing,
    "killed": killed,
    "audit": audit,
    "clean_label": clean_label,
    "matrix": attacks_and_defences,
    "frontier": smallest_epsilon,
}


def filled(text: str) -> str:
    """``text`` with every measured part as the tables have it.

    Raises:
        KeyError: a part of a name that is not in ``SECTIONS``.
    """
    return _SECTION.sub(lambda found: f"{found[1]}\n{section(found[2])}\n\n{found[3]}", text)


def section(name: str) -> str:
    """One measured part; says so where its table is not there."""
    try:
        return SECTIONS[name]()
    except FileNotFoundError as error:
        return f"Not measured with this version yet: there is no `{Path(error.filename).relative_to(ROOT)}`."


def take_pictures() -> None:
    """Grade the solution and keep two of its pictures."""
    from grader.__main__ import main as grader_main

    with tempfile.TemporaryDirectory() as folder:
        if grader_main(["grade", "--submission", str(ROOT / "solution"), "--report", folder]) != 0:
            raise RuntimeError("the solution could not be graded")
        for name in PICTURES:
            shutil.copy(Path(folder) / name, MEASURED / name)


def take(folders: Sequence[Path]) -> None:
    """Take over tables and example pictures; rows of several folders are put together, the figures drawn from them."""
    from grader.experiments.pictures import plot_matrix

    for table, columns in TABLES.items():
        rows = [row for folder in folders for row in read_rows(folder / table, columns)]
        if rows:
            write_rows(MEASURED / table, columns, rows)
    for name in EXAMPLES:
        for path in sorted(path for folder in folders for path in folder.glob(f"visible-seed*/{name}"))[:1]:
            shutil.copy(path, MEASURED / name)
    if found := rows_of("matrix.csv"):
        plot_matrix(matrix_table.grid(found, rows_of(alarms.FILE)), MEASURED / "matrix.png")
    if found := rows_of("frontier.csv"):
        frontier.draw(found, MEASURED / "frontier.png")
    if found := rows_of("clean_label_curve.csv"):
        clean_label_curve.plot(found, MEASURED / "clean_label_curve.png")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m solution.readme", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 where something would change"
    )
    parser.add_argument("--pictures", action="store_true", help="take the pictures anew")
    parser.add_argument(
        "--take", type=Path, nargs="+", default=[], metavar="DIR", help="what `lab` wrote to --out"
    )
    options = parser.parse_args(arguments)
    if options.pictures:
        take_pictures()
    if options.take:
        take(options.take)
    before = README.read_text(encoding="utf-8")
    after = filled(before)
    if options.check and after != before:
        print("README.md is not what the tables say: python -m solution.readme", file=sys.stderr)
        return 1
    if not options.check:
        write_whole(README, after)
    return 0


if __name__ == "__main__":
    sys.exit(main())
