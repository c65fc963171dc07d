"""Work through a class until the ledger has a terminal record for every submission."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from grader.batch.engines import Engine, EngineError
from grader.batch.intake import Entry
from grader.batch.ledger import FAILING, GRADED, INTAKE_PROBLEM, SET_ASIDE, Ledger, Record, key_of
from grader.batch.unit import Result, Settings, prepare_text, unit_text
from grader.exports.escaping import one_line
from grader.outcome import Report

RETRIES = 2  # for the grader's errors alone: what a submission did is judged once
IN_A_ROW = 10
"""Submissions on which the grader may fail at the first attempt, one after the other: then it is not their fault."""
_LONGEST_ERROR = 2500
_POLL_SECONDS = 1.0


class Told(Protocol):
    """Called once for every key, when it has its terminal record; ``found`` where an earlier run made it."""

    def __call__(self, key: str, record: Record, *, found: bool) -> None: ...


class BatchStopped(Exception):
    """The batch cannot go on; what is in the ledger stays. The message says what must be repaired first."""


@dataclass(frozen=True)
class Task:
    """What is expected of one key; ``entries`` has more than one where students handed in the same bytes."""

    key: str
    entries: tuple[Entry, ...]


def tasks(entries: Iterable[Entry], settings: Settings, seed: int) -> dict[str, Task]:
    """Key -> task, in the order of the entries."""
    found: dict[str, Task] = {}
    for entry in entries:
        key = _key(entry, settings, seed)
        found[key] = Task(key, (*(found[key].entries if key in found else ()), entry))
    return found


def _key(entry: Entry, settings: Settings, seed: int) -> str:
    if entry.problem is not None:
        return key_of("intake", entry.login, entry.source.name, entry.problem)
    return key_of(
        *("grade", entry.hash, settings.grader, settings.spec, str(seed)),
        *(settings.language, settings.isolation, str(settings.pictures)),
    )


def grade_class(
    expected: Mapping[str, Task],
    ledger: Ledger,
    open_engine: Callable[[], Engine],
    settings: Settings,
    told: Told,
) -> None:
    """Give every expected key its terminal record, beginning with what the ledger has already.

    Args:
        open_engine: called where something is left to grade.

    Raises:
        EngineError: the engine does not start.
        BatchStopped: the engine is gone, no grade can succeed as things are, or too many failed one after the other.
        OSError: the ledger cannot be written.
    """
    errors: dict[str, tuple[str, ...]] = {}
    waiting: deque[Task] = deque()
    trouble = _Trouble()
    for task in expected.values():
        record = ledger.read(task.key)
        if record is None and task.entries[0].problem is not None:
            record = Record(task.key, INTAKE_PROBLEM, problem=task.entries[0].problem)
            ledger.write(record)
        if record is not None and record.is_terminal:
            told(task.key, record, found=True)
            trouble.some_graded |= record.status == GRADED
        else:
            errors[task.key] = () if record is None else record.errors
            waiting.append(task)
    if not waiting:
        return
    engine = open_engine()
    try:
        prepared = engine.prepare(prepare_text(settings))
        if prepared.error is not None:
            raise BatchStopped(prepared.error)
        for task, result in _results(waiting, engine, settings):
            record = _judge(task, result, errors[task.key])
            if not result.timed_out:
                trouble.add(record, ledger, engine.slots)
                if trouble.holds(record):
                    continue
            ledger.write(record, {name: result.pictures[name] for name in record.pictures})
            if record.is_terminal:
                told(task.key, record, found=False)
            else:
                errors[task.key] = record.errors
                waiting.append(task)  # last, which gives passing trouble time to pass
        for record in trouble.held():
            ledger.write(record)
            told(record.key, record, found=False)
    finally:
        engine.close()


class _Trouble:
    """Tells what is wrong with the machine from what is odd about one submission.

    Attributes:
        some_graded: whether the grader was ever able to grade one of this class.
    """

    def __init__(self) -> None:
        self.some_graded = False
        self._held: list[Record] = []
        self._row: list[Record] = []

    def add(self, record: Record, ledger: Ledger, slots: int) -> None:
        """Take the next result into account, before it is written.

        Raises:
            BatchStopped: it is the machine. What failed since the last grade has no more errors on record then than
                before, however often the batch is started before that is repaired.
        """
        if record.status == GRADED:
            self.some_graded = True
            self._row = []
            return
        self._row.append(record)
        # an error that follows a submission around says nothing of the others
        first_attempts = sum(len(failed.errors) == 1 for failed in self._row)
        if first_attempts >= IN_A_ROW + slots:  # what runs together may fail together, of one passing cause
            for failed in reversed(self._row):
                _take_back(failed, ledger)
            raise BatchStopped(_what_to_repair(f"{first_attempts} submissions in a row", record))

    def holds(self, record: Record) -> bool:
        """Whether it waits to be set aside: unless it was the machine, which only another's grade will tell."""
        waits = record.status == SET_ASIDE and not self.some_graded
        if waits:
            self._held.append(record)
        return waits

    def held(self) -> list[Record]:
        """What is to be set aside after all, now that everything was tried.

        Raises:
            BatchStopped: several submissions failed and none was ever graded.
        """
        if len(self._held) > 1 and not self.some_graded:
            raise BatchStopped(_what_to_repair("every submission of this class", self._held[-1]))
        return self._held


def _take_back(failed: Record, ledger: Ledger) -> None:
    """The record as it was before its last error."""
    if len(failed.errors) == 1:
        ledger.forget(failed.key)
    else:
        ledger.write(Record(failed.key, FAILING, failed.errors[:-1]))


def _what_to_repair(failed_on: str, record: Record) -> str:
    return (
        f"the grader failed on {failed_on}, the last time with: {one_line(record.errors[-1], 300)}. "
        "Repair that and start the same command again"
    )


def _results(waiting: deque[Task], engine: Engine, settings: Settings) -> Iterator[tuple[Task, Result]]:
    """Run everything that waits, and what is appended meanwhile; results as they come."""
    running: dict[Future[str], Task] = {}
    while waiting or running:
        while waiting and len(running) < engine.slots:
            task = waiting.popleft()
            running[_submit(engine, unit_text(settings, task.entries[0].files))] = task
        done, _ = wait(running, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
        if not done and (why := engine.gone()) is not None:
            raise BatchStopped(why)
        for future in done:
            task, result = running.pop(future), _result(future, engine)
            if result.fatal:
                raise BatchStopped(result.error or "")
            yield task, result


def _submit(engine: Engine, text: str) -> Future[str]:
    try:
        return engine.submit(text)
    except EngineError as error:
        raise BatchStopped(str(error)) from error


def _result(future: Future[str], engine: Engine) -> Result:
    try:
        return Result.from_text(future.result())
    except CancelledError:
        raise BatchStopped(engine.gone() or "the engine has dropped its work") from None
    except Exception as error:
        if (why := engine.gone()) is not None:
            raise BatchStopped(why) from error
        return Result(error=f"{type(error).__name__}: {error}")


def _judge(task: Task, result: Result, before: tuple[str, ...]) -> Record:
    """The record after one more attempt."""
    report, error = result.report, result.error
    try:
        read = Report.from_json(report or {})
    except ValueError as problem:
        report, error = None, error or f"no report came: {problem}"
    else:
        if (other := _not_this_task(task, read)) is not None:
            report, error = None, error or other  # nobody's, so it must not be published either
    if error is None and report is not None and report.get("status") != "graded":
        error = "the report has a grader error that the unit did not tell of"
    if error is None:
        pictures = tuple(name for name in result.pictures if Path(name).name == name)
        return Record(task.key, GRADED, before, report, pictures=pictures, seconds=result.seconds)
    errors = (*before, error[-_LONGEST_ERROR:])
    # a submission that used up the whole wall limit would do so again
    last = result.timed_out or len(errors) > RETRIES
    return Record(task.key, SET_ASIDE if last else FAILING, errors, report, seconds=result.seconds)


def _not_this_task(task: Task, report: Report) -> str | None:
    """Why this report cannot be the grade of this task, or None."""
    if report.submission_hash != task.entries[0].hash:
        return f"another submission was graded: {report.submission_hash}"
    return None


def reconcile(expected: Mapping[str, Task], ledger: Ledger, directory: Path) -> list[str]:
    """What is missing for every submission to have exactly one terminal record, and its report beside it."""
    missing = []
    for task in expected.values():
        record = ledger.read(task.key)
        for entry in task.entries:
            if record is None or not record.is_terminal:
                missing.append(f"{entry.login}: no terminal record")
            elif record.status == GRADED and not _is_published(directory / entry.login, record):
                missing.append(f"{entry.login}: its report is not in the results")
    return missing


def _is_published(folder: Path, record: Record) -> bool:
    try:
        published = Report.from_json(json.loads((folder / "report.json").read_bytes()))
    except (OSError, ValueError):
        return False
    own = Report.from_json(record.report or {})
    return (published.score, published.bonus, published.submission_hash) == (
        own.score, own.bonus, own.submission_hash,
    )  # fmt: skip
