"""What the tests of the batch share: a small spec, submissions, invented reports, and engines that only pretend."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from pathlib import Path

from grader.batch.intake import FILENAMES, Entry, take_class
from grader.batch.ledger import Ledger, Record
from grader.batch.run import Task, grade_class, tasks
from grader.batch.unit import Result, Settings
from grader.contract import PARTS
from grader.outcome import Outcome, Report, Status
from grader.settings import PUBLIC_SPEC

CORE = FILENAMES[0]
ROOT = Path(__file__).resolve().parents[2]
SEED = 7
SETTINGS = Settings(spec="any text", language="en", isolation="bubblewrap", grader="0" * 16, seconds=60.0)


def with_values(text: str, values: Mapping[str, str]) -> str:
    """TOML with other values of some of its keys, each of which it has once."""
    for key, value in values.items():
        text, count = re.subn(rf"^{key} = .*$", f"{key} = {value}", text, flags=re.MULTILINE)
        assert count == 1, key
    return text


def small_spec(path: Path, **changes: str) -> Path:
    """The public spec with a handful of steps and thresholds that everything reaches.

    Args:
        changes: more keys with their new values, as TOML.
    """
    text = PUBLIC_SPEC.read_text(encoding="utf-8")
    small = {
        "name": '"small"', "steps": "3", "audit_share": "0.5",
        "acc": "0.0", "asr": "0.0", "untriggered_rate": "1.0", "load_seconds": "8.0", "call_seconds": "8.0",
    }  # fmt: skip
    path.write_text(with_values(text, {**small, **changes}), encoding="utf-8")
    return path


def solution(comment: str = "") -> str:
    """The reference solution, made unlike any other by a comment."""
    return (ROOT / "solution" / CORE).read_text(encoding="utf-8") + f"\n# {comment}\n"


def challenge(**values: str) -> str:
    """The handed out entry for the leaderboard, switched on, with other values (TOML): three steps unless said."""
    text = (ROOT / "assignment" / "challenge.toml").read_text(encoding="utf-8")
    return with_values(text, {"enabled": "true", "steps": "3", **values})


def hand_in(directory: Path, login: str, text: str, *, filename: str = CORE) -> Path:
    folder = directory / login
    folder.mkdir(parents=True, exist_ok=True)
    (folder / filename).write_text(text, encoding="utf-8")
    return folder


def report_of(
    submission_hash: str, *, failed: Iterable[str] = (), status: Status = Status.FAILED, **fields: object
) -> Report:
    """A report in which everything passed but some checks."""
    failed = set(failed)
    checks = []
    for part in PARTS:
        for check in part.checks:
            passed = check.id not in failed
            checks.append(
                Outcome(
                    id=check.id,
                    part=check.part,
                    status=Status.PASSED if passed else status,
                    points=check.points if passed else 0,
                    max_points=check.points,
                    got="as expected" if passed else "something else came",
                )
            )
    values: dict[str, object] = {
        "grader_version": "0", "spec": "small", "spec_hash": "s", "seed": SEED, "submission": "submission",
        "submission_hash": submission_hash, "isolation": "bubblewrap", "checks": tuple(checks),
        "max_score": 100, "max_bonus": 0,
    }  # fmt: skip
    return Report(**{**values, **fields})  # type: ignore[arg-type]


def graded(submission_hash: str, **fields: object) -> Result:
    return Result(report=report_of(submission_hash, **fields).to_json())  # type: ignore[arg-type]


class PretendEngine:
    """Answers each unit at once with what ``answer`` says of its files' hash.

    Attributes:
        asked: hashes of the units that were submitted, in order.
    """

    slots = 2

    def __init__(self, answer: Callable[[str, int], Result | Exception], class_: Iterable[Entry]) -> None:
        self._answer = answer
        self._hash = {key: entry.hash for entry in class_ for key in [_files_key(entry)]}
        self.asked: list[str] = []
        self.closed = False
        self.why_gone: str | None = None

    def prepare(self, text: str) -> Result:
        return Result()

    def submit(self, text: str) -> Future[str]:
        hash_ = self._hash[json.dumps(json.loads(text)["files"], sort_keys=True)]
        self.asked.append(hash_)
        answer = self._answer(hash_, self.asked.count(hash_))
        future: Future[str] = Future()
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer.to_text())
        return future

    def gone(self) -> str | None:
        return self.why_gone

    def close(self) -> None:
        self.closed = True


def _files_key(entry: Entry) -> str:
    from grader.batch.unit import unit_text

    return json.dumps(json.loads(unit_text(SETTINGS, entry.files))["files"], sort_keys=True)


class Run:
    """One pretended run over a folder of submissions, with what it told."""

    def __init__(
        self,
        submissions: Path,
        out: Path,
        answer: Callable[[str, int], Result | Exception],
        *,
        settings: Settings = SETTINGS,
    ) -> None:
        self.class_ = take_class(submissions)
        self.expected: dict[str, Task] = tasks(self.class_.entries, settings, SEED)
        self.ledger = Ledger(out / ".ledger")
        self.engine = PretendEngine(answer, self.class_.entries)
        self.settings = settings
        self.told: list[tuple[str, bool]] = []
        self.hashes = {entry.login: entry.hash for entry in self.class_.entries}

    def go(self) -> Run:
        try:
            grade_class(self.expected, self.ledger, lambda: self.engine, self.settings, self._note)
        finally:
            self.ledger.close()
        return self

    def _note(self, key: str, record: Record, *, found: bool) -> None:
        self.told += [(entry.login, found) for entry in self.expected[key].entries]

    def record(self, login: str) -> Record:
        key = next(k for k, t in self.expected.items() if any(e.login == login for e in t.entries))
        found = self.ledger.read(key)
        assert found is not None
        return found
