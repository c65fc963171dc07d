"""The coordinator and its ledger, with engines that only pretend: retries, resuming, and what a SIGKILL may cost."""

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from grader.batch.engines import EngineError
from grader.batch.ledger import (
    FAILING,
    GRADED,
    INTAKE_PROBLEM,
    SET_ASIDE,
    Ledger,
    LedgerBusy,
    Record,
    grader_hash,
    key_of,
)
from grader.batch.run import IN_A_ROW, RETRIES, BatchStopped, reconcile, tasks
from grader.batch.unit import Result
from grader.outcome import Status
from tests.batch.helpers import ROOT, SETTINGS, Run, graded, hand_in, report_of


@pytest.fixture
def class_(tmp_path: Path) -> Path:
    for login in ("alice", "bob", "carol"):
        hand_in(tmp_path / "class", login, f"# {login}")
    (tmp_path / "class" / "dave").mkdir()
    return tmp_path / "class"


def all_graded(hash_: str, _: int) -> Result:
    return graded(hash_)


def test_every_submission_gets_one_terminal_record(class_, tmp_path):
    run = Run(class_, tmp_path / "out", all_graded).go()
    statuses = {login: run.record(login).status for login in ("alice", "bob", "carol", "dave")}
    assert statuses == {"alice": GRADED, "bob": GRADED, "carol": GRADED, "dave": INTAKE_PROBLEM}
    assert sorted(login for login, _ in run.told) == ["alice", "bob", "carol", "dave"]
    assert run.engine.closed


def test_nothing_is_graded_twice(class_, tmp_path):
    Run(class_, tmp_path / "out", all_graded).go()
    again = Run(class_, tmp_path / "out", all_graded).go()
    assert again.engine.asked == []
    assert {found for _, found in again.told} == {True}


def test_only_what_changed_is_graded_again(class_, tmp_path):
    first = Run(class_, tmp_path / "out", all_graded).go()
    hand_in(class_, "bob", "# bob, improved")
    again = Run(class_, tmp_path / "out", all_graded).go()
    assert again.engine.asked == [again.hashes["bob"]]
    assert again.hashes["bob"] != first.hashes["bob"]


def test_equal_bytes_share_a_record(class_, tmp_path):
    hand_in(class_, "eve", "# alice")
    run = Run(class_, tmp_path / "out", all_graded).go()
    assert run.engine.asked.count(run.hashes["alice"]) == 1
    assert run.record("eve") == run.record("alice")


@pytest.mark.parametrize(
    "change", [{"spec": "x"}, {"language": "zh"}, {"isolation": "any"}, {"pictures": False}]
)
def test_a_key_names_everything_that_decides_a_grade(class_, tmp_path, change):
    other = dataclasses.replace(SETTINGS, **change)
    entries = Run(class_, tmp_path / "out", all_graded).class_.entries
    assert (
        len(tasks(entries, SETTINGS, 7).keys() & tasks(entries, other, 7).keys()) == 1
    )  # dave's empty folder
    assert len(tasks(entries, SETTINGS, 7).keys() & tasks(entries, SETTINGS, 8).keys()) == 1


def test_parts_of_a_key_cannot_run_together():
    assert key_of("ab", "c") != key_of("a", "bc")


# --- the grader's errors ---------------------------------------------------------------------------------------------


def test_a_passing_grader_error_is_retried(class_, tmp_path):
    run = Run(
        class_, tmp_path / "out", lambda h, n: graded(h) if n > RETRIES else Result(error="out of memory")
    ).go()
    record = run.record("alice")
    assert (record.status, record.errors) == (GRADED, ("out of memory",) * RETRIES)


def test_a_lasting_grader_error_is_set_aside_and_is_no_zero(class_, tmp_path):
    def answer(hash_: str, _: int) -> Result:
        broken = report_of(hash_, failed=["invisible_trigger.outcome.asr"], status=Status.ERROR)
        return Result(report=broken.to_json(), error="the sandbox does not start")

    run = Run(class_, tmp_path / "out", lambda h, n: graded(h) if h == run.hashes["bob"] else answer(h, n))
    run.go()
    record = run.record("alice")
    assert record.status == SET_ASIDE
    assert len(record.errors) == RETRIES + 1
    assert record.report is not None
    assert record.report["score"] is None


def test_failed_attempts_are_remembered_over_a_restart(class_, tmp_path):
    def stop_at_third(hash_: str, n: int) -> Result:
        return Result(error=f"attempt {n}") if n < 3 else Result(error="no disk", fatal=True)

    with pytest.raises(BatchStopped):
        Run(class_, tmp_path / "out", stop_at_third).go()
    run = Run(class_, tmp_path / "out", lambda h, n: graded(h) if h == hand else Result(error=f"again {n}"))
    hand = run.hashes["carol"]
    run.go()
    assert {len(run.record(login).errors) for login in ("alice", "bob")} == {RETRIES + 1}


def test_the_wall_limit_is_not_tried_again(class_, tmp_path):
    run = Run(
        class_, tmp_path / "out", lambda h, n: Result(error="ended after 500 seconds", timed_out=True)
    ).go()
    assert run.record("alice").status == SET_ASIDE
    assert len(run.engine.asked) == 3


def test_trouble_of_the_machine_sets_nobody_aside(tmp_path):
    """A full disk at three in the morning: the batch stops, and goes on when there is room again."""
    for n in range(3 * IN_A_ROW):
        hand_in(tmp_path / "class", f"student{n:02}", f"# {n}")

    def full(hash_: str, n: int) -> Result:
        return graded(hash_) if len(run.engine.asked) <= 3 else Result(error="No space left on device")

    run = Run(tmp_path / "class", tmp_path / "out", full)
    with pytest.raises(BatchStopped, match=f"{IN_A_ROW + 2} submissions in a row.*No space left"):
        run.go()
    assert len(run.engine.asked) <= 3 + IN_A_ROW + 2 * run.engine.slots
    for _ in range(2 * RETRIES):  # started again as often as one likes before it is repaired
        with pytest.raises(BatchStopped, match=r"in a row.*No space left"):
            Run(
                tmp_path / "class", tmp_path / "out", lambda h, n: Result(error="No space left on device")
            ).go()
    again = Run(tmp_path / "class", tmp_path / "out", all_graded).go()
    assert {again.record(login).status for login in again.hashes} == {GRADED}


def test_who_failed_before_is_not_set_aside_for_trouble_of_the_machine(tmp_path):
    """One submission has an error of its own on record when the disk gets full: that stays its only one."""
    for n in range(3 * IN_A_ROW):
        hand_in(tmp_path / "class", f"student{n:02}", f"# {n}")
    run = Run(tmp_path / "class", tmp_path / "out", all_graded)
    odd = next(key for key, task in run.expected.items() if task.entries[0].login == "student00")
    run.ledger.write(Record(odd, FAILING, ("odd",) * RETRIES))
    run.ledger.close()
    for _ in range(2):
        run = Run(tmp_path / "class", tmp_path / "out", lambda h, n: Result(error="No space left on device"))
        with pytest.raises(BatchStopped, match="in a row"):
            run.go()
        assert run.record("student00").errors == ("odd",) * RETRIES
        assert run.record("student00").status == FAILING


def test_trouble_of_the_machine_sets_nobody_of_a_small_class_aside(class_, tmp_path):
    for _ in range(2 * RETRIES):
        with pytest.raises(BatchStopped, match=r"every submission of this class, .*No space left"):
            Run(class_, tmp_path / "out", lambda h, n: Result(error="No space left on device")).go()
    again = Run(class_, tmp_path / "out", all_graded).go()
    assert {again.record(login).status for login in ("alice", "bob", "carol")} == {GRADED}


def test_the_last_odd_ones_of_a_class_do_not_stop_a_batch(class_, tmp_path):
    """What an earlier run has graded counts: then it is not the machine."""
    odd = Run(class_, tmp_path / "other", all_graded).hashes
    odd.pop("carol")

    def killed_after_carol(hash_: str, _: int) -> Result:
        return Result(error="odd") if hash_ in odd.values() else graded(hash_)

    run = Run(class_, tmp_path / "out", killed_after_carol)
    del run.expected[next(k for k, t in run.expected.items() if t.entries[0].login == "bob")]
    run.go()
    run = Run(class_, tmp_path / "out", killed_after_carol).go()
    assert {run.record(login).status for login in ("alice", "bob")} == {SET_ASIDE}


def test_many_slow_submissions_do_not_stop_the_batch(tmp_path):
    for n in range(2 * IN_A_ROW):
        hand_in(tmp_path / "class", f"student{n:02}", f"# {n}")
    slow = Result(error="ended after 500 seconds", timed_out=True)
    run = Run(tmp_path / "class", tmp_path / "out", lambda h, n: slow).go()
    assert {run.record(login).status for login in run.hashes} == {SET_ASIDE}


def test_many_odd_submissions_do_not_stop_the_batch(tmp_path):
    for n in range(3 * IN_A_ROW):
        hand_in(tmp_path / "class", f"student{n:02}", f"# {n}")

    run = Run(
        tmp_path / "class", tmp_path / "out", lambda h, n: Result(error="odd") if h in odd else graded(h)
    )
    odd = {hash_ for login, hash_ in run.hashes.items() if int(login[-2:]) % 2}
    run.go()
    found = [run.record(f"student{n:02}").status for n in range(3 * IN_A_ROW)]
    assert found == [GRADED, SET_ASIDE] * (3 * IN_A_ROW // 2)


def test_an_engine_that_loses_one_unit_loses_no_other(class_, tmp_path):
    def answer(hash_: str, n: int) -> Result | Exception:
        return RuntimeError("KilledWorker") if hash_ == run.hashes["bob"] else graded(hash_)

    run = Run(class_, tmp_path / "out", answer)
    run.go()
    assert run.record("bob").errors == ("RuntimeError: KilledWorker",) * (RETRIES + 1)
    assert run.record("alice").status == run.record("carol").status == GRADED


@pytest.mark.parametrize(
    ("report", "message"),
    [
        (lambda h: report_of("another").to_json(), "another submission was graded"),
        (lambda h: {**report_of(h).to_json(), "score": 99}, "no report came"),
        (lambda h: None, "no report came"),
        (
            lambda h: report_of(h, failed=["invisible_trigger.outcome.asr"], status=Status.ERROR).to_json(),
            "grader error",
        ),
    ],
)
def test_a_report_that_cannot_be_this_grade_is_a_grader_error(class_, tmp_path, report, message):
    run = Run(
        class_,
        tmp_path / "out",
        lambda h, n: graded(h) if h == run.hashes["bob"] else Result(report=report(h)),
    )
    run.go()
    assert run.record("alice").status == SET_ASIDE
    assert message in run.record("alice").errors[-1]
    own = run.record("alice").report  # what is not this submission's report is nobody's
    assert own is None or own["submission_hash"] == run.hashes["alice"]


def test_what_makes_every_grade_impossible_stops_the_batch(class_, tmp_path):
    run = Run(class_, tmp_path / "out", lambda h, n: Result(error="no bubblewrap", fatal=True))
    with pytest.raises(BatchStopped, match="no bubblewrap"):
        run.go()
    assert run.engine.closed
    assert reconcile(run.expected, run.ledger, tmp_path / "out")[:1] == ["alice: no terminal record"]


def test_an_engine_that_is_gone_stops_the_batch_and_keeps_what_is_done(class_, tmp_path):
    run = Run(class_, tmp_path / "out", all_graded)
    submit, count = run.engine.submit, [0]

    def submit_two(text: str):
        count[0] += 1
        if count[0] > 2:
            raise EngineError("the scheduler is gone")
        return submit(text)

    run.engine.submit = submit_two  # type: ignore[method-assign]
    with pytest.raises(BatchStopped, match="the scheduler is gone"):
        run.go()
    again = Run(class_, tmp_path / "out", all_graded).go()
    assert len(again.engine.asked) == 1


# --- the ledger ------------------------------------------------------------------------------------------------------


def test_one_batch_at_a_time(tmp_path):
    ledger = Ledger(tmp_path)
    with pytest.raises(LedgerBusy):
        Ledger(tmp_path)
    ledger.close()
    Ledger(tmp_path).close()


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"null", b"\xff", b'{"schema": "x"}'])
def test_a_damaged_record_counts_as_absent_and_is_kept_for_a_person(class_, tmp_path, damage):
    run = Run(class_, tmp_path / "out", all_graded).go()
    key = next(k for k, task in run.expected.items() if task.entries[0].login == "alice")
    path = tmp_path / "out" / ".ledger" / "records" / f"{key}.json"
    path.write_bytes(damage)
    again = Run(class_, tmp_path / "out", all_graded).go()
    assert again.engine.asked == [run.hashes["alice"]]
    assert path.with_suffix(".damaged").read_bytes() == damage


@pytest.mark.parametrize("how", ["empty", "gone"])
def test_a_record_that_has_lost_a_picture_counts_as_absent(tmp_path, how):
    ledger = Ledger(tmp_path)
    record = Record("a", GRADED, report=report_of("h").to_json(), pictures=("x.png",))
    ledger.write(record, {"x.png": "UE5H"})
    assert ledger.read("a") is not None
    path = ledger.pictures("a") / "x.png"
    path.unlink() if how == "gone" else path.write_bytes(b"")
    assert ledger.read("a") is None
    ledger.close()


def test_a_record_of_another_key_is_not_believed(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.write(Record("a", GRADED, report=report_of("h").to_json()))
    os.replace(tmp_path / "records" / "a.json", tmp_path / "records" / "b.json")
    assert ledger.read("b") is None
    ledger.close()


def test_the_graders_hash_follows_what_decides_a_grade():
    assert len(grader_hash()) == 16
    assert grader_hash() == grader_hash()


# --- SIGKILL ---------------------------------------------------------------------------------------------------------

# Grades for a while, slowly: 5 ms a unit, and notes every unit it was asked for.
_SLOW = """
import sys, time
from pathlib import Path
from tests.batch.helpers import Run, graded
def answer(hash_, n):
    time.sleep(0.005)
    with open(sys.argv[3], "a") as asked:
        asked.write(hash_ + "\\n")
    return graded(hash_)
Run(Path(sys.argv[1]), Path(sys.argv[2]), answer).go()
"""


def test_killed_again_and_again_it_loses_nothing(tmp_path):
    """The real coordinator and ledger, ended by SIGKILL at random moments of its work."""
    for n in range(60):
        hand_in(tmp_path / "class", f"student{n:03}", f"# {n}")
    arguments = [str(tmp_path / name) for name in ("class", "out", "asked")]
    rng = random.Random(5)
    kills = 0
    records = tmp_path / "out" / ".ledger" / "records"
    for _ in range(60):
        process = subprocess.Popen([sys.executable, "-c", _SLOW, *arguments], cwd=ROOT)
        before = len(list(records.glob("*.json"))) if records.is_dir() else 0
        while process.poll() is None and (
            not records.is_dir() or len(list(records.glob("*.json"))) <= before
        ):
            time.sleep(0.002)  # until it is at work
        time.sleep(rng.uniform(0, 0.15))
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
    assert process.returncode == 0
    assert kills >= 4
    asked = (tmp_path / "asked").read_text().split()
    assert len(set(asked)) == 60
    assert len(asked) - 60 <= 3 * kills  # what was in its hands when it was killed, and nothing else
    again = Run(tmp_path / "class", tmp_path / "out", all_graded).go()
    assert again.engine.asked == []
    assert len(again.told) == 60
    assert [p.name for p in records.iterdir() if p.suffix != ".json"] == []
    assert all(json.loads(p.read_bytes())["status"] == GRADED for p in records.iterdir())
