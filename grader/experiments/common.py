"""What the experiments' commands share: their usual options, progress bars, and errors in one line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

DONE, USAGE = 0, 2
StepProgress = Callable[[int, int, float], None]  # (steps done, steps in all, loss)


class ExperimentProblem(Exception):
    """The experiment cannot be run as asked; the message says why and what to do."""


def add_usual_options(parser: argparse.ArgumentParser, *, seed: int = 1) -> None:
    """``--out``, ``--seed``, ``--device`` and ``--data-dir``."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the results go")
    parser.add_argument("--seed", type=int, default=seed, help=f"of everything random (default: {seed})")
    parser.add_argument("--device", default="cpu", help="where to compute, e.g. cuda (default: cpu)")
    parser.add_argument(
        "--data-dir", type=Path, metavar="DIR", help="where the data sets lie (default: in the project)"
    )


def device_of(options: argparse.Namespace) -> torch.device:
    """The device that ``--device`` names.

    Raises:
        ExperimentProblem: there is none of that name here.
    """
    import torch

    try:
        device = torch.device(options.device)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ExperimentProblem(f"--device {options.device}: {str(error).splitlines()[0]}") from error
    return device


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Take numbers too small for a float's usual form as 0 for a while: a processor is many times slower with them."""
    import torch

    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


@contextmanager
def steps(description: str) -> Iterator[StepProgress]:
    """A progress bar over training steps, on stderr."""
    from tqdm import tqdm

    with tqdm(desc=description, unit="step", leave=False, disable=not sys.stderr.isatty()) as bar:

        def progress(done: int, total: int, loss: float) -> None:
            bar.total = total
            bar.update(done - bar.n)
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)

        yield progress


def guarded(run: Callable[[argparse.Namespace], None]) -> Callable[[argparse.Namespace], int]:
    """``run`` as a command: what the user can put right becomes one line on stderr and exit status 2."""

    def command(options: argparse.Namespace) -> int:
        from grader.lab.data import DataError
        from grader.settings import UsageProblem, check_writable

        try:
            check_writable("--out", options.out)  # before hours of work, not after them
            run(options)
        except BrokenPipeError:  # no fault of a file's: who read the output has ended
            raise
        except (ExperimentProblem, DataError, UsageProblem, OSError) as problem:
            print(f"python -m grader lab: {problem}", file=sys.stderr)
            return USAGE
        return DONE

    return command
