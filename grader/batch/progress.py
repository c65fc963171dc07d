"""How far a class is: a bar with the time left on a terminal, a line for each submission in a log."""

from __future__ import annotations

import time
from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from grader.batch.ledger import GRADED, Record
from grader.batch.run import Task
from grader.exports.escaping import log_safe


class ClassProgress:
    """Counts submissions (not keys) as their terminal records come."""

    def __init__(self, expected: Mapping[str, Task], console: Console) -> None:
        self._expected = expected
        self._console = console
        self._total = sum(len(task.entries) for task in expected.values())
        self._found = self._done = 0
        self._started = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TimeRemainingColumn(compact=True), TextColumn("left"),
            console=console, transient=True, disable=not console.is_terminal,
        )  # fmt: skip
        self._task = self._bar.add_task("Grading", total=self._total)

    def __enter__(self) -> ClassProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def told(self, key: str, record: Record, *, found: bool) -> None:
        """Take note of a terminal record; ``found`` where an earlier run made it."""
        entries = self._expected[key].entries
        if found:  # these say nothing of how fast it goes
            self._found += len(entries)
            self._bar.reset(self._task, completed=self._found)
            return
        self._done += len(entries)
        self._bar.advance(self._task, len(entries))
        if not self._console.is_terminal:
            count, left = self._found + self._done, self._minutes_left()
            what = (
                f"{record.report['score']} points"
                if record.status == GRADED and record.report
                else record.status
            )
            names = ", ".join(entry.login for entry in entries)
            line = f"[{count}/{self._total}] {names}: {what.replace('_', ' ')}; {left}"
            self._console.print(log_safe(line), markup=False, soft_wrap=True)

    def _minutes_left(self) -> str:
        left = self._total - self._found - self._done
        seconds = left * (time.monotonic() - self._started) / max(1, self._done)
        return f"{seconds / 60:.0f} min left" if seconds > 90 else f"{seconds:.0f} s left"
