"""What the command line and pytest have in common: their defaults, and opening a grading with clear errors.

Quick to import: whatever needs torch is imported when a grading is opened.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grader.grading import Grading
    from grader.parts.run import Progress

ASSIGNMENT = Path(__file__).resolve().parents[1] / "assignment"
PUBLIC_SPEC = Path(__file__).with_name("specs") / "public.toml"
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
    from grader.grading import Grading
    from grader.spec import SpecError, load_spec
    from grader.submission import SubmissionError

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
