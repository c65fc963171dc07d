"""A real Dask scheduler and real workers on loopback, killed in the middle of a class."""

import dataclasses
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from grader.batch import engines
from grader.batch.engines import DaskEngine, EngineError
from grader.batch.intake import take_class
from grader.batch.ledger import GRADED, Ledger, Record, grader_hash
from grader.batch.run import BatchStopped, Task, grade_class, tasks
from grader.batch.unit import Settings
from grader.isolation import available_isolation
from tests.batch.helpers import ROOT, hand_in, small_spec, solution

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("distributed") is None,
        reason="Dask is not installed: pip install -e '.[class]'",
    ),
    pytest.mark.skipif(
        available_isolation()[0] != "bubblewrap", reason=f"no bubblewrap: {available_isolation()[1]}"
    ),
]
CLASS = 6


class Cluster:
    """A scheduler and its workers, each a process of its own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._processes: list[subprocess.Popen[bytes]] = []
        self._workers = 0

    def start_scheduler(self) -> str:
        address = self._directory / f"scheduler{len(self._processes)}.json"
        options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(address)]
        self.scheduler = self._start("dask_scheduler", *options)
        self._file = address
        while not address.exists():
            assert self.scheduler.poll() is None
            time.sleep(0.05)
        return str(json.loads(address.read_text())["address"])

    def start_worker(self) -> subprocess.Popen[bytes]:
        self._workers += 1
        options = ["--scheduler-file", str(self._file), "--nthreads", "1", "--no-nanny", "--no-dashboard"]
        folder = self._directory / f"worker{self._workers}"
        folder.mkdir()
        return self._start("dask_worker", *options, "--local-directory", str(folder), "--death-timeout", "5")

    def _start(self, module: str, *options: str) -> subprocess.Popen[bytes]:
        with (self._directory / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{module}", *options],
                cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip
        self._processes.append(process)
        return process

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    folder = tmp_path / "cluster"
    folder.mkdir()
    found = Cluster(folder)
    yield found
    found.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    spec = small_spec(tmp_path / "spec.toml").read_text(encoding="utf-8")
    return Settings(spec, "en", "bubblewrap", grader_hash(), seconds=120.0, pictures=False)


@pytest.mark.slow
def test_a_worker_and_then_the_scheduler_are_killed(cluster, settings, tmp_path):
    for n in range(CLASS):
        hand_in(tmp_path / "class", f"student{n}", solution(str(n)))
    expected = tasks(take_class(tmp_path / "class").entries, settings, 7)
    address = cluster.start_scheduler()
    workers = [cluster.start_worker(), cluster.start_worker()]
    told: list[str] = []

    def on_record(after: dict[int, Callable[[], None]]):
        def note(key: str, record: Record, *, found: bool) -> None:
            assert record.status == GRADED
            if not found:
                told.append(key)
            after.pop(len(told), lambda: None)()

        return note

    def kill(process: subprocess.Popen[bytes]) -> Callable[[], None]:
        return lambda: process.send_signal(signal.SIGKILL)

    ledger = Ledger(tmp_path / "ledger")
    started = time.monotonic()
    steps = on_record({1: kill(workers[0]), 3: kill(cluster.scheduler)})
    with pytest.raises(BatchStopped, match=r"gone|dropped"):
        grade_class(expected, ledger, lambda: DaskEngine(address), settings, steps)
    assert time.monotonic() - started < 120
    assert 3 <= len(told) < CLASS
    kept = {key: ledger.read(key) for key in told}

    address = cluster.start_scheduler()
    cluster.start_worker()
    grade_class(expected, ledger, lambda: DaskEngine(address), settings, on_record({}))
    assert sorted(told) == sorted(expected)  # each of them once
    assert {key: ledger.read(key) for key in kept} == kept
    scores = [record.report["score"] for key in expected if (record := ledger.read(key)) and record.report]
    assert scores == [100] * CLASS

    # a worker with another grader would give grades that are not this grader's
    other = dataclasses.replace(settings, grader="f" * 16)
    with pytest.raises(BatchStopped, match="another grader"):
        grade_class(_as_new(expected), ledger, lambda: DaskEngine(address), other, on_record({}))
    ledger.close()


def _as_new(expected: dict[str, Task]) -> dict[str, Task]:
    return {f"new{key}": dataclasses.replace(task, key=f"new{key}") for key, task in expected.items()}


def test_no_scheduler_is_told_and_not_waited_for(monkeypatch):
    monkeypatch.setattr(engines, "CONNECT_SECONDS", 1)
    with pytest.raises(EngineError, match="no Dask scheduler"):
        DaskEngine("tcp://127.0.0.1:9")
