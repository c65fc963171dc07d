"""The unit of work of a batch: grade one submission in a process of its own. Text in, text out, wherever it runs.

A unit carries everything it needs (the files, the spec's text, the settings) and leaves nothing behind, so it can run
on this machine or on another, once or, after a crash, again. What it cannot do is say nothing: whatever happens to the
grading process, the answer is a report or the reason why there is none.

Student code does not run in that process either: it runs in the sandbox that the grading starts.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import tempfile
import time
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from grader.batch.intake import Files, write_files
from grader.batch.ledger import grader_hash
from grader.batch.warm import WarmParentFailed, run_in_fresh_process

JOB, RESULT, LOG, SPEC = "job.json", "result.json", "log.txt", "spec.toml"
PREPARE_SECONDS = 3600.0
_PROBE = 2**20  # bytes, more than a result has
_TOO_LONG = (
    "ended after {:.0f} seconds in all: code that is slow and breaks no limit of its own, or a busy machine"
)


@dataclass(frozen=True)
class Settings:
    """What is the same for a whole class.

    Attributes:
        spec: the text of the spec file.
        language: of the reports.
        isolation: ``bubblewrap`` refuses to grade without it; ``any`` takes the strongest that works.
        grader: hash of the grader that must do it.
        seconds: wall time after which a grading process is ended.
        pictures: whether to draw them; never under a hidden spec, whose target and epsilon they would tell.
    """

    spec: str
    language: str
    isolation: str
    grader: str
    seconds: float
    pictures: bool = True


@dataclass(frozen=True)
class Result:
    """What came of one unit: a report (perhaps one with a grader error), or an error.

    Attributes:
        fatal: no unit can succeed here (another grader, a weaker isolation, missing data): stop the batch.
        timed_out: the wall limit ended it.
        pictures: file name -> base64 of the PNG.
    """

    report: dict[str, Any] | None = None
    error: str | None = None
    fatal: bool = False
    timed_out: bool = False
    pictures: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def to_text(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_text(cls, text: str) -> Result:
        """Raises ValueError where the text is no result."""
        try:
            data = json.loads(text)
            return cls(**{f.name: data[f.name] for f in fields(cls)})
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a result: {error!r}") from None


def unit_text(settings: Settings, files: Files) -> str:
    """One unit as text."""
    encoded = {n: None if c is None else base64.b64encode(c).decode() for n, c in files.items()}
    return json.dumps({"settings": asdict(settings), "files": encoded})


def prepare_text(settings: Settings) -> str:
    """A unit that grades nothing and makes what all others need: the clean start of this spec."""
    return json.dumps({"settings": asdict(settings), "files": None})


def run_unit(text: str, scratch: str | None = None) -> str:
    """Run one unit in a process of its own and return its ``Result`` as text.

    Args:
        scratch: folder for the unit's own, which is removed at the end; default: the system's.
    """
    unit = json.loads(text)
    settings = Settings(**unit["settings"])
    if settings.grader != grader_hash():
        return Result(error=f"this machine has another grader ({grader_hash()}, not {settings.grader})",
                      fatal=True).to_text()  # fmt: skip
    directory = Path(tempfile.mkdtemp(prefix="backdoor-lab-unit-", dir=scratch))
    started = time.perf_counter()
    try:
        return _run(unit, settings, directory, started).to_text()
    except WarmParentFailed as error:
        return Result(error=str(error), fatal=True).to_text()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _run(unit: Mapping[str, Any], settings: Settings, directory: Path, started: float) -> Result:
    (directory / SPEC).write_bytes(settings.spec.encode())
    job = {
        "prepare": unit["files"] is None,
        **{name: getattr(settings, name) for name in ("language", "isolation", "pictures")},
    }
    (directory / JOB).write_text(json.dumps(job), encoding="utf-8")
    seconds = PREPARE_SECONDS if unit["files"] is None else settings.seconds
    if unit["files"] is not None:
        files = {n: None if c is None else base64.b64decode(c) for n, c in unit["files"].items()}
        write_files(files, directory / "submission")
    run_in_fresh_process(directory, seconds)
    elapsed = time.perf_counter() - started
    try:
        result = Result.from_text((directory / RESULT).read_text(encoding="utf-8"))
    except FileNotFoundError:
        if elapsed >= seconds:
            return Result(error=_TOO_LONG.format(seconds), timed_out=True)
        words = f"the grading process died; its last words: {_last_words(directory)}"
        return Result(error=f"{words}; {trouble}" if (trouble := _disk_trouble(directory)) else words)
    return replace(result, pictures=_pictures(directory), seconds=round(elapsed, 2))


def _last_words(directory: Path) -> str:
    try:
        return (directory / LOG).read_text(encoding="utf-8", errors="replace")[-2000:].strip() or "none"
    except OSError:
        return "none"


def _disk_trouble(directory: Path) -> str | None:
    """Why nothing can be written there, so neither a result nor last words; None where it can."""
    path = directory / "probe"
    try:
        path.write_bytes(bytes(_PROBE))
    except OSError as error:
        return f"nothing can be written to {directory.parent}: {error.strerror or error}"
    finally:
        path.unlink(missing_ok=True)
    return None


def _pictures(directory: Path) -> dict[str, str]:
    return {
        path.name: base64.b64encode(path.read_bytes()).decode()
        for path in sorted((directory / "report").glob("*.png"))
    }


# --- in the process of its own ---------------------------------------------------------------------------------------


def work(folder: str) -> None:
    """Do the job that lies in this folder and write its result there; runs in a process of its own."""
    directory = Path(folder)
    try:
        text = _work(directory).to_text()
    except Exception:  # noqa: BLE001 whatever it is, it is the grader's trouble and is told
        traceback.print_exc()
        text = Result(error=traceback.format_exc()[-2000:]).to_text()
    temporary = directory / f"{RESULT}.part"
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, directory / RESULT)


def _work(directory: Path) -> Result:
    from grader.grading import grade
    from grader.isolation import available_isolation
    from grader.spec import ThreadSettings, load_spec

    job = json.loads((directory / JOB).read_text(encoding="utf-8"))
    spec = load_spec(directory / SPEC)
    (directory / SPEC).unlink()  # read: nothing else needs to find it
    if job["prepare"]:
        return _prepare(spec)
    isolation, why = available_isolation()
    if job["isolation"] == "bubblewrap" and isolation != "bubblewrap":
        return Result(error=f"this machine has no bubblewrap to grade in: {why}", fatal=True)
    report = grade(
        directory / "submission",
        # one thread a grade: two pools of two on two cores take seven times as long
        replace(spec, threads=ThreadSettings(parent=1, child=1)),
        isolation=isolation,
        language=job["language"],
        report_directory=directory / "report" if job["pictures"] and not spec.hidden else None,
    )
    errors = [f"{check.id}: {check.got}" for check in report.checks if check.status == "error"]
    return Result(
        report=report.to_json(), error="\n".join([*errors, _last_words(directory)]) if errors else None
    )


def _prepare(spec: Any) -> Result:
    from grader.lab.data import DataError, split_mnist
    from grader.lab.training import clean_start
    from grader.parts import activation_clustering_outcome, fine_pruning_outcome

    part = spec.invisible_trigger
    try:
        train, _ = split_mnist(part.split_seed, grey_levels=True)
        clean_start(part.clean, part.clean_seed, train, split_seed=part.split_seed)
        for defence in (fine_pruning_outcome, activation_clustering_outcome):
            defence.make_victim(spec)
    except DataError as error:
        return Result(error=str(error), fatal=True)
    return Result()
