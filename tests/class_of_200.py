"""A class of 200 unlike submissions, graded while it is killed again and again; then each graded alone, and compared.

    python -m tests.class_of_200 [--size 200] [--kills 5] [--jobs 2] [--seed 0] [--keep DIR] [--save]

Styles, mutants and hostile submissions of the corpus and files that crash or are no submission, as folders and as
zips, go to ``python -m grader batch`` under a small spec. It is ended with SIGKILL at random moments and started again.
At the end there must be one terminal record each, nothing graded twice, no process left behind, and every score the
same as when the submission is graded alone, by another process and not through the batch.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import track

from grader.batch.intake import FILENAMES, take_class, write_files
from grader.batch.ledger import grader_hash, key_of
from grader.contract import PARTS
from grader.grading import grade
from grader.isolation import ROOT
from grader.outcome import write_whole
from grader.spec import Spec, load_spec
from tests.batch.helpers import small_spec
from tests.corpus import KINDS, items
from tests.processes import descendants

CORE = FILENAMES[0]
MEASURED = Path(__file__).with_name("measured") / "class_of_200.txt"
# Files that crash whatever reads them carelessly, and what is no submission at all.
CRASHING: dict[str, bytes] = {
    "empty": b"",
    "blank": b" \n\t\n",
    "not_utf8": b"\xff\xfe\x00def",
    "nul": b"x = '\0'\n",
    "syntax_error": b"def apply_trigger(x, delta:\n",
    "too_large": b"#" * 300_000,
    "recursion": b"(" * 5000,
    "other_name": b"",
    "segfault": b"import ctypes\nctypes.string_at(0)\n",
    "raises_at_import": b"raise SystemError('no')\n",
}
HURRY = {"load_seconds": "20.0", "call_seconds": "5.0", "step_seconds": "5.0", "run_seconds": "40.0",
         "audit_share": "1.0"}  # fmt: skip
"""Short limits, and an audit of every step: no score hangs on which steps are drawn. Loading has time enough to walk
the whole disk first, as ``looks_for_the_test_set`` does: with cold caches that takes more than 6 seconds."""


def candidates() -> Iterator[tuple[str, dict[str, bytes]]]:
    """Name and files of everything there is to hand in."""
    for name, content in CRASHING.items():
        yield f"crashing-{name}", {("notes.txt" if name == "other_name" else CORE): content}
    yield "untouched", {part.filename: (ROOT / "assignment" / part.filename).read_bytes() for part in PARTS}
    for kind in KINDS:
        for item in items(kind):
            yield f"{kind}-{item.name}", dict(item.files())


def hand_in(directory: Path, size: int, rng: random.Random) -> None:
    """``size`` submissions, each unlike the others; every third is a zip."""
    pool = list(candidates())
    rng.shuffle(pool)
    for number in range(size):
        name, files = pool[number % len(pool)]
        folder = directory / f"{number:03}-{name}"
        for filename, content in files.items():
            (folder / filename).parent.mkdir(parents=True, exist_ok=True)
            if filename in FILENAMES and b"\0" not in content and content.strip():
                content += f"\n# number {number}\n".encode()
            (folder / filename).write_bytes(content)
        if number % 3 == 0:
            shutil.make_archive(str(folder), "zip", folder)
            shutil.rmtree(folder)


@dataclass
class Killed:
    """What was seen while the batch was killed again and again."""

    kills: list[str] = field(default_factory=list)
    regraded: int = 0
    left_behind: int = 0
    seconds: float = 0.0
    status: int = -1


def run_killed(class_: Path, out: Path, spec: Path, *, kills: int, jobs: int, rng: random.Random) -> Killed:
    """Run the command to its end, with so many SIGKILLs on the way."""
    command = [sys.executable, "-m", "grader", "batch", str(class_), "--out", str(out), "--spec", str(spec),
               "--jobs", str(jobs), "--no-pictures"]  # fmt: skip
    seen = Killed()
    records = out / ".ledger" / "records"
    total = len(list(class_.iterdir()))
    started = time.monotonic()
    while True:
        before = (
            {path.name: path.stat().st_mtime_ns for path in records.glob("*.json")}
            if records.is_dir()
            else {}
        )
        with (out.parent / "log").open("ab") as log:
            process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
        if len(seen.kills) < kills:
            # anywhere: while it starts, or once so many more are done
            left = total - len(before)
            goal = len(before) + rng.uniform(0, 2) * left / (kills - len(seen.kills) + 1)
            delay = rng.uniform(0, 3)
            while process.poll() is None and delay > 0:
                time.sleep(0.05)
                done = len(list(records.glob("*.json"))) if records.is_dir() else 0
                delay -= 0.05 if done >= min(goal, total - 3) else 0
            if process.poll() is None:
                family = descendants(process.pid)
                process.send_signal(signal.SIGKILL)
                process.wait()
                time.sleep(3)
                seen.left_behind += sum(Path(f"/proc/{pid}").exists() for pid in family)
                seen.kills.append(
                    f"{len(list(records.glob('*.json'))) if records.is_dir() else 0} of {total}"
                )
        seen.status = process.wait()
        after = {path.name: path.stat().st_mtime_ns for path in records.glob("*.json")}
        seen.regraded += sum(after.get(name) != when for name, when in before.items())
        if seen.status != -signal.SIGKILL:
            seen.seconds = time.monotonic() - started
            return seen


def scores_alone(class_: Path, spec: Spec, cache: Path) -> dict[str, int | None]:
    """Login -> score of a grading of its own, outside the batch; None where there is nothing to grade."""
    known: dict[str, int | None] = json.loads(cache.read_text()) if cache.exists() else {}
    scores = {}
    entries = take_class(class_).entries
    for entry in track(entries, "Grading alone", console=Console(stderr=True), transient=True):
        key = key_of(grader_hash(), spec.hash, entry.hash)
        if entry.problem is None and key not in known:
            with tempfile.TemporaryDirectory() as folder:
                write_files(entry.files, Path(folder) / "submission")
                known[key] = grade(Path(folder) / "submission", spec).score
            write_whole(cache, json.dumps(known))
        scores[entry.login] = None if entry.problem else known[key]
    return scores


def main() -> int:
    """Print the table; exit status 0 when everything held."""
    parser = argparse.ArgumentParser(prog="python -m tests.class_of_200", description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=200)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0, help="of the class and of the moments")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="work here, keep it, and reuse the scores alone"
    )
    parser.add_argument("--save", action="store_true", help=f"keep the table in {MEASURED.name}")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = (options.keep or Path(scratch)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("class", "out"):
            shutil.rmtree(folder / name, ignore_errors=True)
        rng = random.Random(options.seed)
        hand_in(folder / "class", options.size, rng)
        path = small_spec(folder / "spec.toml", **HURRY)
        seen = run_killed(
            folder / "class", folder / "out", path, kills=options.kills, jobs=options.jobs, rng=rng
        )
        alone = scores_alone(folder / "class", load_spec(path), folder / "alone.json")
        different = len({entry.hash for entry in take_class(folder / "class").entries})
        return show(folder / "out", alone, different, seen, options)


def show(
    out: Path, alone: dict[str, int | None], different: int, seen: Killed, options: argparse.Namespace
) -> int:
    """Print what was found; 0 where all of it is as it must be.

    Args:
        different: submissions that are unlike all others; the same content is graded once.
    """
    summary = json.loads((out / "summary.json").read_bytes())
    records = [json.loads(path.read_bytes()) for path in (out / ".ledger" / "records").glob("*.json")]
    terminal = sum(record["status"] in ("graded", "set_aside", "intake_problem") for record in records)
    graded = {path.parent.name: json.loads(path.read_bytes())["score"] for path in out.glob("*/report.json")}
    differing = sorted(login for login, score in alone.items() if graded.get(login) != score)
    seconds = sum(record["seconds"] for record in records)
    rows = [
        ("submissions", options.size, sum(summary["statuses"].values()) == options.size),
        (
            "killed with SIGKILL (records so far)",
            ", ".join(seen.kills) or "never",
            len(seen.kills) == options.kills,
        ),
        (
            "terminal records",
            f"{terminal} of {len(records)}, for {different} different contents",
            terminal == len(records) == different,
        ),
        (
            "by status",
            ", ".join(f"{n} {k}" for k, n in summary["statuses"].items() if n),
            not summary["set_aside"],
        ),
        ("reconciled, exit status", f"{summary['reconciled']}, {seen.status}", seen.status == 0),
        ("records made again after a kill", seen.regraded, seen.regraded == 0),
        ("processes left 3 s after a kill", seen.left_behind, seen.left_behind == 0),
        ("scores unlike those alone", ", ".join(differing) or "0", not differing),
        ("distinct scores", len(set(graded.values())), True),
        ("wall time in all", f"{seen.seconds:.0f} s, {options.jobs} jobs", True),
        ("wall time a grade, mean", f"{seconds / max(1, len(graded)):.2f} s", True),
    ]
    lines = [f"grader {grader_hash()}, class seed {options.seed}"]
    for name, value, held in rows:
        lines.append(f"  {name:38}{value}{'' if held else '   <-- NOT AS IT MUST BE'}")
    print("\n".join(lines))
    if options.save:
        write_whole(MEASURED, "\n".join(lines) + "\n")
    return 0 if all(held for _, _, held in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
