"""Classroom 50's autograder for Backdoor Lab: grades the checkout it is started in and writes ``result.json`` there.

The runner starts it without arguments, in the student's checkout; everything beside this file came with it. It installs
what is missing (about 200 MB for the CPU build of PyTorch), runs the grader on ``assignment/`` and exports the report.
MNIST is taken from the checkout, since it does not fit here; the grader checks its published sums, so nothing can be
passed off for it. Where the grader itself fails, no result is written and the exit status is not 0: Classroom 50 then
records an error, which is no zero.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

BUNDLE = Path(__file__).resolve().parent
CPU_BUILDS = "https://download.pytorch.org/whl/cpu"


def main() -> int:
    """Grade; returns the exit status: 0 when there is a result, whatever the score."""
    checkout = Path.cwd()
    for name in ("result.json", "release-body.md"):  # a file of this name in the checkout is not ours
        (checkout / name).unlink(missing_ok=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--extra-index-url", CPU_BUILDS]
    # not from the checkout: with -m, Python looks for pip in its working directory first
    if subprocess.run([*pip, "--requirement", str(BUNDLE / "requirements.txt")], cwd=BUNDLE).returncode != 0:
        return tell("the packages that the grader needs could not be installed")
    environment = {**os.environ, "PYTHONPATH": str(BUNDLE)}
    environment["BACKDOOR_LAB_DATA"] = str(checkout / "grader" / "data")

    def grader(*arguments: str) -> int:
        return subprocess.run(
            [sys.executable, "-m", "grader", *arguments], cwd=BUNDLE, env=environment
        ).returncode

    with tempfile.TemporaryDirectory() as folder:
        if grader("grade", "--submission", str(checkout / "assignment"), "--report", folder) != 0:
            return tell("there is no grade; the lines above say why. This is no zero: tell your instructor")
        report = str(Path(folder, "report.json"))
        made = subprocess.run(
            ["git", "log", "-1", "--format=%cI"], cwd=checkout, capture_output=True, text=True
        ).stdout.strip()
        for form, name in (("classroom50", "result.json"), ("classroom50-release", "release-body.md")):
            more = ("--submitted", made) if form == "classroom50" else ()
            if grader("export", "--report", report, "--to", form, "--out", str(checkout / name), *more) != 0:
                return tell(f"{name} could not be written")
    return 0


def tell(what: str) -> int:
    print(f"Backdoor Lab: {what}.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
