"""The command line: ``python -m solution.release --out DIR``."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from solution.build import ROOT
from solution.release.content import Files, ReleaseError, check, project
from solution.release.outputs import (
    CLASSROOM50_LIMIT,
    MODEL_ANSWERS,
    classroom50_bundle,
    commit_release,
    gradescope_zip,
    nbgrader_course,
    student_repository,
)
from solution.release.packing import tar_bytes, write_folder, zip_bytes

_DESCRIPTION = """Make everything that leaves this repository, in DIR: student/ (a git repository, ready to be a
template), classroom50/ (for the folder of the autograder), gradescope.zip, and nbgrader/ (a course folder, for the
instructor). Nothing is written where a solution is found in it. Run it again after a change: student/ gets one more
commit, the rest is replaced, but for what nbgrader made."""

# Grades and submissions of a course that is at work.
NBGRADER_MAKES = frozenset(
    {"release", "submitted", "autograded", "feedback", "gradebook.db", ".nbgrader.log"}
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the release; returns the exit status: 0, or 1 where it was refused."""
    parser = argparse.ArgumentParser(prog="python -m solution.release", description=_DESCRIPTION)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where it goes")
    out: Path = parser.parse_args(arguments).out
    try:
        if out.resolve() == ROOT or ROOT.is_relative_to(out.resolve()):
            raise ReleaseError(f"--out {out}: a folder of its own, please")
        release(out)
    except (ReleaseError, OSError) as error:
        print(f"solution.release: {error}", file=sys.stderr)
        return 1
    return 0


def release(out: Path, root: Path = ROOT) -> None:
    """Write all outputs; first everything is made in memory and searched for solutions.

    Raises:
        ReleaseError: something must not go out, or does not fit.
    """
    student, classroom50, gradescope = (
        student_repository(root),
        classroom50_bundle(root),
        gradescope_zip(root),
    )
    course = nbgrader_course(root)
    for files in (student, classroom50, gradescope, {**course, MODEL_ANSWERS: b'{"cells": []}'}):
        check(files, root)
    size = len(tar_bytes(classroom50))
    if size >= CLASSROOM50_LIMIT:
        raise ReleaseError(f"the Classroom 50 bundle has {size} bytes; it may have {CLASSROOM50_LIMIT}")
    version = str(project(root)["version"])
    write_folder(student, out / "student", keep=frozenset({".git"}))
    commit = commit_release(out / "student", version, _date(root))
    write_folder(classroom50, out / "classroom50")
    write_folder(course, out / "nbgrader", keep=NBGRADER_MAKES)
    (out / "gradescope.zip").write_bytes(zip_bytes(gradescope))
    print(
        f"student/         {_about(student)}; "
        + (f"commit {commit}" if commit else "git is not installed: no repository")
    )
    print(f"classroom50/     {_about(classroom50)}; {size / 2**20:.1f} MiB packed")
    print(f"gradescope.zip   {_about(gradescope)}")
    print(f"nbgrader/        {_about(course)}; for the instructor: its notebook has model answers")


def _about(files: Files) -> str:
    return f"{len(files)} files, {sum(map(len, files.values())) / 2**20:.1f} MiB"


def _date(root: Path) -> int:
    """The date of what is released: SOURCE_DATE_EPOCH, else of this repository's last commit, else 1970."""
    if (given := os.environ.get("SOURCE_DATE_EPOCH", "")).isdigit():
        return int(given)
    try:
        done = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=root, capture_output=True, text=True)
    except FileNotFoundError:
        return 0
    return int(done.stdout) if done.returncode == 0 and done.stdout.strip().isdigit() else 0


if __name__ == "__main__":
    sys.exit(main())
