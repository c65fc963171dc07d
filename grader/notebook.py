"""What the lab report (``report.ipynb``) uses: grade the files beside it in a process of its own, and show the report.

Nothing of the submission is imported here. Under nbgrader each graded cell ends in ``lab.points(...)``, one float, and
prints nothing to stderr, which nbgrader would take for a zero. A failure of the grader itself ends the kernel there:
then nbgrader keeps no score at all and says that this submission could not be graded, instead of a zero.

Not covered: a notebook's other cells run in the same kernel, so a student's own cell can change what these functions
do. That is so with every autograded notebook; ``python -m grader batch`` on the files is out of its reach.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from grader import messages
from grader.contract import PARTS, check
from grader.exports import figures, terminal
from grader.exports.command import read_report
from grader.outcome import Report
from grader.settings import PUBLIC_SPEC, SPEC_VARIABLE

ROOT = Path(__file__).resolve().parents[1]
RESULTS_VARIABLE = "BACKDOOR_LAB_RESULTS"
"""Names the results of a batch: a submission that was graded there, with this grader and spec, is not graded again."""


class GraderFailed(Exception):
    """The grader itself failed: there is no score, which is no zero."""


@dataclass(frozen=True)
class Lab:
    """A graded submission.

    Attributes:
        pictures: what it shows -> the PNG.
    """

    report: Report
    pictures: Mapping[str, bytes] = field(default_factory=dict)

    def points(self, function: str) -> float:
        """The points of one function of the core part, or of ``"outcome"``; what a graded cell ends in.

        Raises:
            KeyError: the contract has no such function.
        """
        core = {part.name for part in PARTS if part.core}
        known = {c.function for part in PARTS if part.core for c in part.checks}
        if function not in known:
            raise KeyError(f"no function is called {function!r}; there are {', '.join(sorted(known))}")
        mine = [o for o in self.report.checks if o.part in core and check(o.id).function == function]
        return float(sum(outcome.points for outcome in mine))


def grade(submission: Path, *, language: str = "en") -> Lab:
    """Grade the files of a folder as ``python -m grader grade`` does, with the spec of ``BACKDOOR_LAB_SPEC``.

    Args:
        language: of the report; anything but a known one is English, since this cell must not fail.

    Raises:
        GraderFailed: the grader itself failed. Under nbgrader the kernel ends instead, see above.
    """
    language = language if language in messages.LANGUAGES else "en"
    try:
        _require_absolute_paths()
        return _known(submission) or _grade(submission, language)
    except Exception as error:  # whatever it is: nothing the submission does can raise here
        if os.environ.get("NBGRADER_EXECUTION") == "autograde":
            os.kill(os.getpid(), signal.SIGKILL)
        raise GraderFailed(f"{type(error).__name__}: {error}") from error


def _require_absolute_paths() -> None:
    """A kernel runs in the submission's folder, and nobody means a path from there."""
    for name in (SPEC_VARIABLE, RESULTS_VARIABLE):
        value = os.environ.get(name)
        if value and not Path(value).is_absolute():
            raise ValueError(f"{name} is {value!r}: a notebook needs an absolute path")


def _grade(submission: Path, language: str) -> Lab:
    with tempfile.TemporaryDirectory() as folder:
        command = ["-m", "grader", "grade", "--submission", str(submission.absolute()), "--report", folder]
        done = subprocess.run(
            [sys.executable, *command, "--lang", language],
            cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, encoding="utf-8", errors="replace",
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"exit status {done.returncode}: {(done.stderr or done.stdout)[-2000:]}")
        return _read(Path(folder, "report.json"))


def _read(path: Path) -> Lab:
    report = read_report(path)
    return Lab(report, {key: (path.parent / name).read_bytes() for key, name in report.pictures.items()})


def _known(submission: Path) -> Lab | None:
    """The result of a batch for exactly these files, this grader and this spec, where one is there."""
    if not (directory := os.environ.get(RESULTS_VARIABLE)):
        return None
    from grader.batch.changes import grader_of
    from grader.batch.ledger import grader_hash
    from grader.submission import read_submission

    if not (summary := Path(directory, "summary.json")).is_file():
        raise FileNotFoundError(f"{RESULTS_VARIABLE} names no results of a batch: there is no {summary}")
    if grader_of(Path(directory)) != grader_hash():
        return None
    spec = Path(os.environ.get(SPEC_VARIABLE, PUBLIC_SPEC)).read_bytes()
    wanted = (read_submission(submission).hash, hashlib.sha256(spec).hexdigest()[:16])
    for path in sorted(Path(directory).glob("*/report.json")):
        try:
            data = json.loads(path.read_bytes())
            found = (data["submission_hash"], data["spec_hash"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if found == wanted and data["status"] == "graded":
            return _read(path)
    return None


def show(lab: Lab) -> None:
    """Print the scoreboard and show the pictures."""
    from IPython.display import Image, Markdown, display

    print(terminal.render(lab.report, width=100))
    for key, content in lab.pictures.items():
        caption, alt = (
            figures.caption(lab.report, key, lab.report.language, alt=alt) for alt in (False, True)
        )
        display(Markdown(f"**{caption}**"), Image(data=content, alt=alt))
