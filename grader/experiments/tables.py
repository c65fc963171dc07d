"""What the experiments' tables share: rows in a CSV file that a stopped run goes on from, rates and their intervals."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from grader.experiments.common import ExperimentProblem
from grader.outcome import write_whole

Row = dict[str, str]


def read_rows(path: Path, columns: Sequence[str]) -> list[Row]:
    """The rows so far; none where there is no file.

    Raises:
        ExperimentProblem: the file has other columns.
    """
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if list(reader.fieldnames or ()) != list(columns):
            raise ExperimentProblem(f"{path} is not a table of this command; name another --out")
        return list(reader)


def write_rows(path: Path, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Write all rows, whole or not at all."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, text.getvalue())


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def spread(values: Sequence[float], form: str = ".1%") -> str:
    """The mean, and from the lowest to the highest where they differ: ``1.5% (0.9% to 2.1%)``."""
    middle, low, high = (format(value, form) for value in (mean(values), min(values), max(values)))
    return middle if low == high else f"{middle} ({low} to {high})"


def counted(hits: int, total: int) -> str:
    """``9 of 10 [56 %, 100 %]``: with the exact (Clopper-Pearson) 95 % interval."""
    from scipy.stats import binomtest  # comes with scikit-learn; a second to import

    interval = binomtest(hits, total).proportion_ci(method="exact")
    return f"{hits} of {total} [{100 * interval.low:.3g} %, {100 * interval.high:.3g} %]"
