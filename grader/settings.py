"""What the command line and pytest have in common: their defaults, and opening a grading with clear errors."""

from __future__ import annotations

from pathlib import Path

from grader.grading import Grading
from grader.parts.run import Progress
from grader.spec import SpecError, load_spec
from grader.submission import SubmissionError

ASSIGNMENT = Path(__file__).resolve().parents[1] / "assignment"
SPEC_VARIABLE = "BACKDOOR_LAB_SPEC"


class UsageProblem(Exception):
    """The options cannot be used as they are; the message says which and why."""


def open_grading(
    submission: Path,
    spec: Path,
    *,
    in_process: bool = False,
    isolation: str = "auto",
    device: str = "cpu",
    language: str = "en",
    report_directory: Path | None = None,
    seed: int | None = None,
    progress: Progress | None = None,
) -> Grading:
    """A grading from what a user wrote.

    Raises:
        UsageProblem: no such folder, an unusable spec, or options that exclude each other.
    """
    try:
        settings = load_spec(spec)
        return Grading(
            submission,
            settings if seed is None else settings.with_seed(seed),
            isolation="none" if in_process else isolation,
            device=device,
            language=language,
            report_directory=report_directory,
            progress=progress,
        )
    except (SpecError, SubmissionError, ValueError) as error:
        raise UsageProblem(str(error)) from error
