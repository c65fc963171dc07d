"""What the command line and pytest have in common: their defaults, and opening a grading with clear errors.

Quick to import: whatever needs torch is imported when a grading is opened.
"""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from grader.contract import PARTS

if TYPE_CHECKING:
    from grader.grading import Grading
    from grader.parts.run import Progress

ASSIGNMENT = Path(__file__).resolve().parents[1] / "assignment"
PUBLIC_SPEC = Path(__file__).with_name("specs") / "public.toml"
SPEC_VARIABLE = "BACKDOOR_LAB_SPEC"
SEEDS = 2**63
"""Where seeds end: more than that no generator takes."""


class UsageProblem(Exception):
    """The options cannot be used as they are; the message says which and why."""


def check_writable(option: str, directory: Path) -> None:
    """Try whether files can be written to a folder, before the work that they would hold; leaves nothing behind.

    Raises:
        UsageProblem: they cannot; its message names the option and the system's reason.
    """
    missing: list[Path] = []
    try:
        missing = [path for path in (directory, *directory.parents) if not path.exists()]
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise UsageProblem(
            f"{option} {directory}: no file can be written there ({error.strerror}); name a folder of your own"
        ) from error
    finally:
        for path in missing:
            with contextlib.suppress(OSError):
                path.rmdir()


def check_device(name: str) -> None:
    """Try whether torch computes on this device.

    Raises:
        UsageProblem: it does not, or there is none of that name here.
    """
    import torch

    try:
        torch.zeros(1, device=name).cpu()
    except (RuntimeError, AssertionError) as error:
        raise UsageProblem(f"--device {name}: {str(error).splitlines()[0]}") from error


def check_submission(directory: Path) -> None:
    """Find the usual slips in naming the folder; graded as they are, they would be a wrong 0.

    Raises:
        UsageProblem: an archive, or the folder above the one with the files.
    """
    if directory.is_file():
        raise UsageProblem(
            f"--submission {directory}: a file, not a folder; unpack it and name the folder with "
            f"{PARTS[0].filename}, or grade archives with `python -m grader batch`"
        )
    below = directory / ASSIGNMENT.name
    names = [part.filename for part in PARTS]
    if not any((directory / name).exists() for name in names) and any((below / n).exists() for n in names):
        raise UsageProblem(
            f"--submission {directory}: it holds no {names[0]}, but {below} does: --submission {below}"
        )


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
        UsageProblem: no such folder, an unusable spec, options that exclude each other, a seed or a device that there
            is not, or a folder for the report that cannot be written to.
    """
    from grader.grading import Grading
    from grader.spec import SpecError, load_spec
    from grader.submission import SubmissionError

    if seed is not None and not 0 <= seed < SEEDS:
        raise UsageProblem(f"--seed {seed}: a seed is 0 or more and below 2**63")
    check_submission(submission)
    try:
        settings = load_spec(spec)
        grading = Grading(
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
    # nothing runs yet, so that nothing has to be ended where one of these is refused
    if in_process:
        check_device(device)
    if report_directory is not None:
        check_writable("--report", report_directory)
    return grading
