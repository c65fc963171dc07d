"""The outputs of a release: the student repository, and a bundle for each platform."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from grader.contract import PARTS
from grader.submission import CHALLENGE
from solution.build import ROOT
from solution.notebooks import FILENAME as REPORT
from solution.release.content import (
    DATA,
    Files,
    ReleaseError,
    assignment_files,
    grader_files,
    project,
    requirements,
    template,
)
from solution.release.packing import tree_id

SOURCE = "source/backdoor-lab/"
MODEL_ANSWERS = f"{SOURCE}{REPORT}"
FEEDBACK = ".github/workflows/feedback.yml"
PIN = 'GRADER_TREE: ""'
CLASSROOM50_LIMIT = 10 * 2**20  # bytes of the archive that Classroom 50 downloads
CLASSROOM50_LARGEST = 2**20  # bytes of a data file
NBGRADER_OWNED = ("grader", SOURCE.rstrip("/"), "nbgrader_config.py")
"""What a release replaces in a course folder; all else there is the instructor's or nbgrader's."""
SIGNS = {
    "student": ("grader/contract.py", "assignment", "pyproject.toml"),
    "classroom50": ("grader/contract.py", "autograder.py"),
    "nbgrader": ("grader/contract.py", "nbgrader_config.py"),
}
"""By these files an earlier release's folder is known, whatever its version."""
_AUTHOR = "Backdoor Lab"
_EMAIL = "backdoor-lab@localhost"


def student_repository(root: Path = ROOT) -> Files:
    """Everything that a student's repository starts with.

    ``feedback.yml`` names the git id of this very ``grader/``, so that a push with another one is noticed.
    """
    grader = grader_files(root)
    feedback = (root / FEEDBACK).read_text(encoding="utf-8")
    if feedback.count(PIN) != 1:
        raise ReleaseError(f"{FEEDBACK} has no line {PIN}")
    lines = "".join(f'    "{requirement}",\n' for requirement in requirements(root))
    return {
        **assignment_files(root),
        **grader,
        FEEDBACK: feedback.replace(PIN, f'GRADER_TREE: "{tree_id(grader, "grader")}"').encode(),
        "README.md": template("student/README.md"),
        "README.zh-CN.md": template("student/README.zh-CN.md"),
        "pyproject.toml": template(
            "student/pyproject.toml.in", version=str(project(root)["version"]), dependencies=lines
        ),
        **{name: (root / name).read_bytes() for name in ("CHANGELOG.md", "LICENSE", ".gitattributes")},
        ".gitignore": template("student/gitignore"),
    }


def classroom50_bundle(root: Path = ROOT) -> Files:
    """What goes into ``CLASSROOM/autograders/ASSIGNMENT/`` of the classroom50 repository; students can read it.

    What is large does not fit. ``autograder.py`` takes MNIST from the student's checkout, where the grader checks its
    sums; the weights that go with CIFAR-10 stay away, as CIFAR-10 does.
    """
    grader = {
        name: content
        for name, content in grader_files(root).items()
        if not (name.startswith(DATA) and len(content) > CLASSROOM50_LARGEST) and "/MNIST/" not in name
    }
    return {**grader, "autograder.py": template("classroom50/autograder.py"), **_requirements(root)}


def gradescope_zip(root: Path = ROOT) -> Files:
    """What goes into the zip that is uploaded as Gradescope's autograder."""
    scripts = {name: template(f"gradescope/{name}") for name in ("setup.sh", "run_autograder")}
    return {**grader_files(root), **scripts, **_requirements(root)}


def nbgrader_course(root: Path = ROOT) -> Files:
    """A course folder of nbgrader's with the assignment ``backdoor-lab``; for the instructor, since its notebook has
    model answers to the written questions. ``nbgrader generate_assignment`` takes them out.
    """
    source = {
        name.replace("assignment/", SOURCE, 1): content for name, content in assignment_files(root).items()
    }
    written = ", ".join(f'"{name}"' for name in (*(part.filename for part in PARTS), CHALLENGE))
    return {
        **grader_files(root),
        **source,
        MODEL_ANSWERS: (root / "solution" / REPORT).read_bytes(),
        "nbgrader_config.py": template("nbgrader/nbgrader_config.py.in", files=f"[{written}]"),
    }


def _requirements(root: Path) -> Files:
    return {"requirements.txt": "".join(f"{line}\n" for line in requirements(root)).encode()}


# --- the student repository's history --------------------------------------------------------------------------------


def commit_release(directory: Path, version: str, when: int) -> str | None:
    """Make ``directory`` a git repository whose history is releases and nothing else; the new commit's id.

    The first commit depends on content, version and date alone, so two runs make the same one.

    Args:
        when: seconds since 1970 that the commit is dated.

    Returns:
        None where git is not installed: then the files are there, without a repository.

    Raises:
        ReleaseError: git failed.
    """
    try:
        if not (directory / ".git").is_dir():
            _git(directory, when, "init", "--quiet", "--initial-branch=main")
        _git(directory, when, "add", "--all")
        if _git(directory, when, "status", "--porcelain") or not _head(directory, when):
            _git(directory, when, "commit", "--quiet", "--no-verify", "-m", f"Backdoor Lab {version}")
    except FileNotFoundError:
        return None
    return _head(directory, when)


def _head(directory: Path, when: int) -> str:
    try:
        return _git(directory, when, "rev-parse", "--verify", "--quiet", "HEAD")
    except ReleaseError:
        return ""


def _git(directory: Path, when: int, *arguments: str) -> str:
    settings = ("-c", "core.autocrlf=false", "-c", "core.fileMode=false", "-c", "commit.gpgSign=false")
    people: Mapping[str, str] = {
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", _AUTHOR), ("EMAIL", _EMAIL), ("DATE", f"{when} +0000"))
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        ["git", *settings, *arguments],
        cwd=directory,
        env={**inherited, **people},
        capture_output=True,
        text=True,
        start_new_session=True,  # a Ctrl-C in the terminal does not reach it: no commit is left half-made
    )
    if done.returncode != 0:
        raise ReleaseError(f"git {arguments[0]} failed in {directory}: {done.stderr.strip()}")
    return done.stdout.strip()
