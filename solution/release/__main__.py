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
    NBGRADER_OWNED,
    SIGNS,
    classroom50_bundle,
    commit_release,
    gradescope_zip,
    nbgrader_course,
    student_repository,
)
from solution.release.packing import (
    NotOurs,
    check_ours,
    tar_bytes,
    uninterrupted,
    write_file,
    write_folder,
    zip_bytes,
)

_DESCRIPTION = """Make everything that leaves this repository, in DIR: student/ (a git repository, ready to be a
template), classroom50/ (for the folder of the autograder), gradescope.zip, and nbgrader/ (a course folder, for the
instructor). Nothing is written where a solution is found in it, nor over a folder that no release made. Run it again
after a change: student/ gets one more commit, classroom50/ is replaced, and of nbgrader/ what a release wrote: grader/,
source/backdoor-lab/ and nbgrader_config.py. Your other files in nbgrader/, and nbgrader's, stay."""

REFUSED, BAD_OUT, STOPPED = 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the release; returns the exit status: 0, 1 refused, 2 --out holds what is not ours, 130 stopped."""
    parser = argparse.ArgumentParser(prog="python -m solution.release", description=_DESCRIPTION)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where it goes")
    out: Path = parser.parse_args(arguments).out
    try:
        if out.resolve() == ROOT or ROOT.is_relative_to(out.resolve()):
            raise ReleaseError(f"--out {out}: a folder of its own, please")
        release(out)
    except (ReleaseError, OSError) as error:
        print(f"solution.release: {error}", file=sys.stderr)
        return BAD_OUT if isinstance(error, NotOurs) else REFUSED
    except KeyboardInterrupt:
        print(f"\nsolution.release: stopped; each folder in {out} is whole, run it again", file=sys.stderr)
        return STOPPED
    return 0


def release(out: Path, root: Path = ROOT) -> None:
    """Write all outputs; first everything is made in memory and searched for solutions.

    Raises:
        ReleaseError: something must not go out, or does not fit.
        NotOurs: a folder of ``out`` was made by no release.
    """
    for name, signs in SIGNS.items():
        check_ours(out / name, signs)
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
    archive, when = zip_bytes(gradescope), _date(root)
    with uninterrupted():
        write_folder(student, out / "student", keep=frozenset({".git"}))
        commit = commit_release(out / "student", version, when)
        write_folder(classroom50, out / "classroom50")
        write_folder(course, out / "nbgrader", owned=NBGRADER_OWNED)
        write_file(archive, out / "gradescope.zip")
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
