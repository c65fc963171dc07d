"""Real grading in forks of a real warm parent: what a unit answers, and what becomes of its neighbours."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from grader.batch import warm
from grader.batch.ledger import grader_hash
from grader.batch.unit import Result, Settings, prepare_text, run_unit, unit_text
from grader.contract import INVISIBLE_TRIGGER
from grader.isolation import available_isolation
from tests.batch.helpers import CORE, ROOT, small_spec, solution

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the warm parent forks on Linux only"),
    pytest.mark.skipif(
        available_isolation()[0] != "bubblewrap", reason=f"no bubblewrap: {available_isolation()[1]}"
    ),
]
SLEEPS_AT_IMPORT = "import time\ntime.sleep(600)\n"


@pytest.fixture(scope="module", autouse=True)
def _warm_parent():
    warm.start_early()
    yield
    warm.stop()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    spec = small_spec(tmp_path / "spec.toml").read_text(encoding="utf-8")
    return Settings(spec, "en", "bubblewrap", grader_hash(), seconds=60.0, pictures=False)


def run(settings: Settings, text: str, scratch: Path) -> Result:
    return Result.from_text(run_unit(unit_text(settings, {CORE: text.encode()}), str(scratch)))


def forks() -> set[int]:
    """Pids of the grades that run now: children of the warm parent that are it itself, forked."""
    parent = warm.start_early()
    assert parent is not None
    found = set()
    for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if int(stat.rsplit(")", 1)[1].split()[1]) == parent.pid and b"grader.batch.warm" in command:
            found.add(pid)
    return found


def test_a_unit_is_graded_as_when_graded_alone_and_leaves_nothing(settings, tmp_path):
    (tmp_path / "scratch").mkdir()
    assert Result.from_text(run_unit(prepare_text(settings), str(tmp_path / "scratch"))).error is None
    result = run(settings, solution(), tmp_path / "scratch")
    assert result.error is None
    assert result.report is not None
    statuses = {check["id"]: check["status"] for check in result.report["checks"]}
    assert {statuses[check.id] for check in INVISIBLE_TRIGGER.checks} == {"passed"}
    assert (result.report["score"], result.report["isolation"]) == (100, "bubblewrap")
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_grade_that_is_killed_is_told_and_harms_no_other(settings, tmp_path):
    with ThreadPoolExecutor(2) as threads:
        doomed = threads.submit(run, settings, SLEEPS_AT_IMPORT, tmp_path)
        while not (found := forks()):
            time.sleep(0.02)
        neighbour = threads.submit(run, settings, solution(), tmp_path)
        time.sleep(0.3)
        os.kill(found.pop(), signal.SIGKILL)
        assert doomed.result().error is not None
        assert "the grading process died" in str(doomed.result().error)
        assert not doomed.result().timed_out
        assert (neighbour.result().report or {})["score"] == 100
    # the sandbox that served it is not used again as if nothing had been
    with ThreadPoolExecutor(2) as threads:
        results = [threads.submit(run, settings, solution(str(n)), tmp_path) for n in range(2)]
        assert [(result.result().report or {})["score"] for result in results] == [100, 100]


def test_the_wall_limit_ends_a_grade_and_is_told_apart(settings, tmp_path):
    started = time.monotonic()
    result = run(dataclasses.replace(settings, seconds=2.0), SLEEPS_AT_IMPORT, tmp_path)
    assert result.timed_out
    assert result.report is None
    assert time.monotonic() - started < 2 + 5


def test_a_warm_parent_that_is_killed_is_replaced(settings, tmp_path):
    parent = warm.start_early()
    assert parent is not None
    run(settings, "x = (", tmp_path)  # it has started now, however slow the machine is
    timer = threading.Timer(1, os.kill, (parent.pid, signal.SIGKILL))
    timer.start()
    result = run(settings, SLEEPS_AT_IMPORT, tmp_path)
    timer.join()
    assert "the grading process died" in str(result.error)
    assert (run(settings, "x = (", tmp_path).report or {})["score"] == 0


def test_its_successor_has_as_many_slots():
    warm.stop()
    first = warm.start_early(2, pictures=False)
    assert first is not None
    warm.start_early()
    os.kill(first.pid, signal.SIGKILL)
    while first.is_alive:
        time.sleep(0.01)
    second = warm.start_early()
    assert second is not None
    assert second is not first
    assert second.slots == 2
    warm.stop()


def test_nothing_of_a_hidden_spec_is_in_the_result(settings, tmp_path):
    hidden = small_spec(
        tmp_path / "hidden.toml",
        hidden="true",
        name='"quiz"',
        epsilon="0.0314927",
        clean_seed="1",
        asr="0.000271828",
    ).read_text(encoding="utf-8")
    told = dataclasses.replace(settings, spec=hidden, pictures=True)
    result = run(told, solution() + "\nprint('PRINTED')\nraise ValueError('MESSAGE')\n", tmp_path)
    text = result.to_text()
    assert json.loads(text)["report"]["spec"] == "quiz"
    for secret in ("0.0314", "314927", "271828", "PRINTED", "MESSAGE"):
        assert secret not in text
    assert run(told, solution(), tmp_path).pictures == {}


def test_another_grader_does_not_grade(settings, tmp_path):
    result = run(dataclasses.replace(settings, grader="f" * 16), solution(), tmp_path)
    assert result.fatal
    assert "another grader" in str(result.error)


def test_missing_data_is_found_before_anything_is_graded(settings, tmp_path):
    program = (
        "import sys; from grader.batch.unit import run_unit; from grader.batch import warm; "
        "print(run_unit(sys.stdin.read())); warm.stop()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=prepare_text(settings), text=True, capture_output=True, cwd=ROOT,
        env={**os.environ, "BACKDOOR_LAB_DATA": str(tmp_path)}, check=True,
    )  # fmt: skip
    result = Result.from_text(done.stdout)
    assert result.fatal
    assert "train-images-idx3-ubyte.gz" in str(result.error)


def test_a_slot_has_a_processor_of_its_own_where_there_are_as_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 1})
    assert warm._processors(2) == [{1}, {3}]
    for slots in (1, 3):
        assert warm._processors(slots) == [{1, 3}] * slots


def test_a_slot_s_sandbox_stays_on_its_processors() -> None:
    available = sorted(os.sched_getaffinity(0))
    parent = warm.WarmParent(len(available))
    try:
        parent._await_ready()
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
        assert sorted(sorted(os.sched_getaffinity(int(pid))) for pid in children) == [[p] for p in available]
        assert sorted(os.sched_getaffinity(parent.pid)) == available
    finally:
        parent.close()
