"""The command line: ``python -m grader COMMAND``; see ``python -m grader --help``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from grader import __version__, messages
from grader.batch.command import add_batch
from grader.contract import PARTS
from grader.doctor import add_doctor
from grader.experiments import add_lab
from grader.exports.command import add_export

if TYPE_CHECKING:
    from grader.outcome import Report

GRADED, USAGE, GRADER_ERROR, STOPPED, NO_READER = 0, 2, 3, 130, 141


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit status: 0 done, 2 bad usage, 3 grader error, 130 stopped with Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m grader",
        description="Backdoor Lab: grade submissions, one or a class, and run the attacks and defences.",
        epilog="Students use `pytest grader/`. Where something does not work, `python -m grader doctor` says why; "
        "`python -m grader COMMAND --help` says what a command takes.",
    )
    parser.add_argument("--version", action="version", version=f"Backdoor Lab grader {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_grade(commands)
    add_batch(commands)
    add_export(commands)
    add_lab(commands)
    add_doctor(commands)
    options = parser.parse_args(arguments)
    try:
        status: int = options.run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("\npython -m grader: stopped", file=sys.stderr)
        return STOPPED
    except BrokenPipeError:
        if not _has_no_reader():
            raise
        return NO_READER
    return status


def _has_no_reader() -> bool:
    """Whether what reads our output has ended, as in ``doctor | head -3``; then the rest goes nowhere."""
    try:
        print(flush=True)  # the error may be another pipe's, a sandbox's say
    except BrokenPipeError:
        # at its end Python flushes once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


def _add_grade(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from grader.settings import PUBLIC_SPEC, SPEC_VARIABLE

    grade = commands.add_parser(
        "grade",
        help="grade one submission",
        description="The checks of `pytest grader/` without pytest. Exit status: 0 when grading ran, whatever the "
        "score; 2 for bad usage, or where the report could not be written; 3 when the grader itself failed; "
        "130 when stopped.",
    )
    grade.add_argument(
        "--submission", type=Path, required=True, metavar="DIR",
        help="folder that holds the files themselves; `batch` takes archives and folders above them, too",
    )  # fmt: skip
    grade.add_argument(
        "--spec", type=Path, metavar="FILE", default=Path(os.environ.get(SPEC_VARIABLE, PUBLIC_SPEC)),
        help=f"spec file (default: ${SPEC_VARIABLE}, else the public one)",
    )  # fmt: skip
    grade.add_argument(
        "--report", type=Path, metavar="DIR", help="write report.json and the pictures to this folder"
    )
    grade.add_argument(
        "--part", action="append", choices=[p.name for p in PARTS], help="this part only (repeatable)"
    )
    grade.add_argument("--lang", choices=messages.LANGUAGES, default="en", help="language of the feedback")
    grade.add_argument("--seed", type=int, help="another order of the training batches than the spec's")
    grade.add_argument("--device", default="cpu", help="where --in-process runs the code, e.g. cuda")
    isolation = grade.add_mutually_exclusive_group()
    isolation.add_argument(
        "--isolation", choices=("auto", "bubblewrap", "process"), default="auto",
        help="auto: the strongest that works here",
    )  # fmt: skip
    isolation.add_argument(
        "--in-process",
        action="store_true",
        help="no isolation at all, for a debugger; such a report is not a grade",
    )
    grade.set_defaults(run=_grade)


def _grade(options: argparse.Namespace) -> int:
    from grader.isolation import available_isolation
    from grader.sandbox import nursery
    from grader.settings import UsageProblem, open_grading

    if not options.in_process:  # let the sandbox import torch while this process does the same
        nursery(available_isolation()[0] if options.isolation == "auto" else options.isolation)
    errors = Console(stderr=True, highlight=False)
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"),
        TimeRemainingColumn(), console=errors, transient=True,
    ) as bar:  # fmt: skip
        task = bar.add_task(messages.ui("progress.unit_checks", options.lang), total=None)

        def progress(what: str, done: int, total: int) -> None:
            bar.update(
                task, description=messages.ui(f"progress.{what}", options.lang), completed=done, total=total
            )

        try:
            grading = open_grading(
                options.submission, options.spec, in_process=options.in_process, isolation=options.isolation,
                device=options.device, language=options.lang, report_directory=options.report, seed=options.seed,
                progress=progress,
            )  # fmt: skip
        except UsageProblem as problem:
            errors.print(f"python -m grader grade: {problem}", markup=False, soft_wrap=True)
            return USAGE
        with grading:
            from grader.report_files import write_report  # imports torch: not before the child has begun to

            grading.warm_up(options.part)
            report = grading.report(options.part)
            output = grading.output
            bar.stop()
            _show(report, output, options.lang)  # first: the grade is there, whatever becomes of its files
            status = GRADER_ERROR if report.status == "grader_error" else GRADED
            if options.report is not None:
                try:
                    write_report(grading, report, options.report)
                except OSError as error:
                    errors.print(f"python -m grader grade: no report: {error}", markup=False, soft_wrap=True)
                    status = status or USAGE
    return status


def _show(report: Report, output: str, language: str) -> None:
    """The scoreboard, and what the submission printed."""
    from grader.exports import terminal
    from grader.exports.escaping import cut, log_safe

    console = Console(highlight=False)
    terminal.show(report, console)
    if output.strip():
        console.print(messages.ui("printed", language), style="bold")
        console.print(log_safe(cut(output, 4000)), markup=False)


if __name__ == "__main__":
    sys.exit(main())
