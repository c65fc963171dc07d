"""Make ``assignment/`` from ``solution/``: stubs, handouts, lab report. Run it after every change of ``solution/``.

    python -m solution.build            write assignment/
    python -m solution.build --check    write nothing; exit 1 and say what drifted

Everything is made in memory first, so a faulty source changes nothing on disk.
"""

from __future__ import annotations

import argparse
import difflib
import os
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from grader.contract import PARTS, Part
from grader.submission import CHALLENGE
from solution.handouts import feedback_example, function_points, make_handout, points_table, training_loop
from solution.notebooks import FILENAME as REPORT
from solution.notebooks import make_report
from solution.stubs import BuildError, make_stub

ROOT = Path(__file__).resolve().parent.parent
HANDOUTS = {"README.md": "en", "README.zh-CN.md": "zh"}
LOOP_SOURCE = Path("grader/lab/training.py")
SPEC = Path("grader/specs/public.toml")
IGNORED = {"__pycache__", ".ipynb_checkpoints", ".pytest_cache", ".DS_Store"}
MAX_DIFF_LINES = 20


def generate(root: Path, parts: Sequence[Part] = PARTS) -> dict[str, str]:
    """Everything that belongs into ``assignment/``: file name -> text.

    Raises:
        BuildError: a source is missing or faulty.
    """
    files = {part.filename: make_stub(_read(root, Path("solution", part.filename)), part) for part in parts}
    loop = training_loop(_read(root, LOOP_SOURCE))
    values = {
        "spec": tomllib.loads(_read(root, SPEC)),
        "points": function_points(parts[0]),
        "bonus": {part.name: part.points for part in parts if not part.core},
    }
    for filename, language in HANDOUTS.items():
        inserts = {
            "points": points_table(parts[0], language),
            "loop": loop,
            "feedback": feedback_example(language),
        }
        tables = {f"points of {part.name}": points_table(part, language) for part in parts[1:]}
        text = _read(root, Path("solution", filename))
        files[filename] = make_handout(text, filename, inserts, values, optional=tables)
    files[CHALLENGE] = _read(root, Path("solution", CHALLENGE))
    files[REPORT] = make_report(_read(root, Path("solution", REPORT)), parts)
    return files


def _read(root: Path, path: Path) -> str:
    try:
        return (root / path).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise BuildError(f"{path.as_posix()}: missing") from error
    except UnicodeDecodeError as error:
        raise BuildError(f"{path.as_posix()}: not UTF-8") from error


def extra_files(files: Mapping[str, str], directory: Path) -> list[str]:
    """Names in ``directory`` that nothing generates."""
    found = sorted(path.name for path in directory.iterdir()) if directory.is_dir() else []
    return [name for name in found if name not in files and name not in IGNORED]


def drift(files: Mapping[str, str], directory: Path) -> list[str]:
    """What keeps ``directory`` from being exactly ``files``, in words for a person; empty where nothing does."""
    problems = []
    for name, text in files.items():
        path = directory / name
        if not path.is_file():
            problems.append(f"{directory.name}/{name}: missing")
            continue
        found = path.read_text(encoding="utf-8", errors="replace")
        if found != text:
            changes = list(
                difflib.unified_diff(
                    found.splitlines(),
                    text.splitlines(),
                    f"{directory.name}/{name}",
                    f"generated from solution/{name}",
                    lineterm="",
                    n=1,
                )
            )
            if len(changes) > MAX_DIFF_LINES:
                changes[MAX_DIFF_LINES:] = [f"... and {len(changes) - MAX_DIFF_LINES} more lines"]
            problems.append("\n".join([f"{directory.name}/{name}: differs", *(f"  {c}" for c in changes)]))
    problems += [
        f"{directory.name}/{name}: not generated from anything" for name in extra_files(files, directory)
    ]
    return problems


def write(files: Mapping[str, str], directory: Path) -> None:
    """Put the files in place: all of them are complete on disk before the first one replaces its predecessor.

    Other files of the directory are left alone.
    """
    directory.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".build-") as staging:
        for name, text in files.items():
            Path(staging, name).write_text(text, encoding="utf-8", newline="\n")
        for name in files:
            os.replace(Path(staging, name), directory / name)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status: 0, or 1 for a faulty source or drift."""
    parser = argparse.ArgumentParser(
        prog="python -m solution.build", description="Make assignment/ from solution/."
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 where assignment/ has drifted"
    )
    check = parser.parse_args(arguments).check
    directory = ROOT / "assignment"
    try:
        files = generate(ROOT)
    except BuildError as error:
        print(f"solution.build: {error}", file=sys.stderr)
        return 1
    if not check:
        write(files, directory)
    problems = drift(files, directory)
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        advice = (
            "Run `python -m solution.build` and commit the result."
            if check
            else "Move what does not belong there."
        )
        print(f"assignment/ is not what solution/ gives. {advice}", file=sys.stderr)
        return 1
    print(
        f"assignment/ is what solution/ gives: {', '.join(files)}" if check else f"wrote {', '.join(files)}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
