"""The scoreboard for a terminal (and for a CI log): every check with its points and why, then what to repair.

Status is always a sign *and* a word, so colour carries nothing alone. Nothing from the student is parsed as
markup, and no line can be a terminal escape or a workflow command of GitHub's.
"""

from __future__ import annotations

import io

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from grader import messages
from grader.exports import texts
from grader.exports.escaping import cut, log_safe, one_line
from grader.outcome import Outcome, Report, Status

SIGNS = {Status.PASSED: "✓", Status.FAILED: "✗", Status.SKIPPED: "-", Status.ERROR: "!"}
ASCII_SIGNS = {Status.PASSED: "+", Status.FAILED: "x", Status.SKIPPED: "-", Status.ERROR: "!"}
STYLES = {
    Status.PASSED: "green",
    Status.FAILED: "bold red",
    Status.SKIPPED: "yellow",
    Status.ERROR: "bold magenta",
}
# Characters of one text, in the details and in the table: a student's message may be endless.
_LONGEST, _SHORTEST = 2500, 180


def render(report: Report, *, width: int = 80, colour: bool = False) -> str:
    """The scoreboard as text.

    Args:
        width: columns of the terminal.
        colour: with ANSI colours; without, the text is plain.
    """
    out = io.StringIO()
    system = "standard" if colour else None
    show(report, Console(file=out, width=width, force_terminal=colour, color_system=system))  # type: ignore[arg-type]
    return "".join(line.rstrip() + "\n" for line in out.getvalue().splitlines())


def show(report: Report, console: Console) -> None:
    """Print the scoreboard on a rich console; what its encoding does not have is shown as a question mark."""
    board = _Board(report, console)
    board.show_checks()
    board.show_faults()
    board.show_end()


class _Board:
    def __init__(self, report: Report, console: Console) -> None:
        self.report = report
        self.language = report.language
        self.console = console
        self.signs = SIGNS if self._fit("".join(SIGNS.values())) == "".join(SIGNS.values()) else ASCII_SIGNS
        self.words = {status: self._ui(f"status.{status.value}") for status in Status}

    def show_checks(self) -> None:
        self._print(self._ui("scoreboard"), "bold")
        for part in texts.parts(self.report):
            self.console.print()
            kind = self._ui("core" if part.core else "bonus_part")
            title = self._ui("part_line", title=part.title, kind=kind)
            if not part.attempted:
                self._print(f"{title}: {self._ui('reason.not_attempted')}", "dim")
                continue
            self._print_points(title, part.points, part.max_points, "bold")
            for function in part.functions:
                self._print_points(f"  {function.title}", function.points, function.max_points, "cyan")
                for outcome in function.checks:
                    self._show_check(outcome)

    def _show_check(self, outcome: Outcome) -> None:
        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(width=4, justify="right")
        table.add_column(width=max(Text(word).cell_len for word in self.words.values()))
        table.add_column(ratio=1, overflow="fold")
        table.add_column(justify="right", no_wrap=True)
        style = STYLES[outcome.status]
        what = self._text(texts.title(outcome, self.language))
        if outcome.status is not Status.PASSED:
            what.append("\n")
            what.append(self._fit(log_safe(one_line(outcome.got, _SHORTEST))), style="dim")
        sign, word = Text(self.signs[outcome.status], style), self._text(self.words[outcome.status], style)
        table.add_row(sign, word, what, Text(self._points(outcome.points, outcome.max_points)))
        self.console.print(table)

    def show_faults(self) -> None:
        faults = list(texts.faults(self.report))
        if faults:
            self.console.print()
            self.console.rule(
                self._text(texts.faults_title(self.report), "bold"), align="left", characters="-"
            )
        for group in faults:
            self.console.print()
            for outcome in group:
                self._print(texts.full_title(outcome, self.language), STYLES[outcome.status])
            table = Table.grid(padding=(0, 2))
            table.add_column(no_wrap=True, style="bold")
            table.add_column(overflow="fold")
            for label, text in texts.shared_lines(group, self.language):
                table.add_row(self._text(label), self._text(text))
            self.console.print(Padding(table, (0, 0, 0, 2)))

    def show_end(self) -> None:
        self.console.print()
        self.console.rule(characters="-")
        score, full = self.report.score, self.report.score == self.report.max_score
        style = "bold green" if full else "bold magenta" if score is None else "bold"
        self._print(texts.score_line(self.report), style)
        bonus = texts.bonus_line(self.report)
        if bonus is not None:
            self._print(bonus, "bold")
        if full:
            self._print(self._ui("all_passed"))
        challenge = texts.challenge_line(self.report)
        if challenge is not None:
            self._print(challenge, "cyan")
        for notice in texts.notices(self.report):
            self._print(notice, "yellow")

    def _print(self, text: str, style: str = "") -> None:
        self.console.print(self._text(text, style))

    def _print_points(self, label: str, points: int, max_points: int, style: str) -> None:
        """A line with its points at the right edge."""
        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(ratio=1, overflow="fold")
        table.add_column(justify="right", no_wrap=True)
        table.add_row(self._text(label, style), Text(self._points(points, max_points), style))
        self.console.print(table)

    def _points(self, points: int, max_points: int) -> str:
        return "" if self.report.score is None else f"{points} / {max_points}"

    def _ui(self, key: str, **values: str) -> str:
        return messages.ui(key, self.language, **values)

    def _text(self, text: str, style: str = "") -> Text:
        return Text(self._fit(cut(log_safe(text[: 8 * _LONGEST]), _LONGEST)), style)

    def _fit(self, text: str) -> str:
        """The text with nothing in it that the console's encoding does not have."""
        return text.encode(self.console.encoding, "replace").decode(self.console.encoding)
