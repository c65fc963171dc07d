"""A child that the machine killed or starved: the grader's trouble, which is tried again and costs nobody a point."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader.contract import INVISIBLE_TRIGGER
from grader.grading import Grading
from grader.isolation import ROOT, Isolation, MachineFault
from grader.outcome import Status
from grader.sandbox import ChildFailure, nursery
from grader.spec import load_spec
from grader.usage import Usage
from tests.processes import descendants
from tests.test_sandbox import call, needs_bubblewrap, start

pytestmark = pytest.mark.alone

OWN_END = """
import ctypes, fcntl, os, resource, stat

def is_socket(descriptor):
    try:
        return stat.S_ISSOCK(os.fstat(descriptor).st_mode)
    except OSError:
        return False

def attempt(action):
    try:
        return str(action())
    except BaseException as error:
        return f"refused: {type(error).__name__}: {error}"

def ends():
    # by a limit, by a signal that comes with a descriptor (for the nursery, 2, too), by a timer; reading limits is fine
    libc, (reading, _) = ctypes.CDLL(None, use_errno=True), os.pipe()
    channel = next(n for n in map(int, os.listdir("/proc/self/fd")) if is_socket(n))
    resource.getrlimit(resource.RLIMIT_CPU), resource.prlimit(0, resource.RLIMIT_CPU)
    timer = {"x86_64": 222, "aarch64": 107}[os.uname().machine]
    return repr([attempt(action) for action in (
        lambda: resource.setrlimit(resource.RLIMIT_CPU, (1, 1)),
        lambda: resource.prlimit(0, resource.RLIMIT_CPU, (1, 1)),
        lambda: fcntl.fcntl(reading, 8, 2),
        lambda: fcntl.fcntl(reading, 10, 9),
        lambda: fcntl.fcntl(reading, 15, bytes(8)),
        lambda: fcntl.ioctl(channel, 0x8901, bytes(4)),
        lambda: fcntl.ioctl(channel, 0x8902, bytes(4)),
        lambda: libc.syscall(timer, 1, None, ctypes.byref(ctypes.c_int())) and 1 / 0,
    )])
"""


def worker_of(isolation: Isolation) -> int:
    """The pid of the only worker, which is the last of the family."""
    return descendants(nursery(isolation).process.pid)[-1]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("isolation", ["process", pytest.param("bubblewrap", marks=needs_bubblewrap)])
def test_who_is_ended_from_outside_has_not_used_up_the_processor_time(
    isolation: Isolation, number: signal.Signals
) -> None:
    """As the kernel and its helpers do where memory runs out, and no student code can to itself."""
    child = start(isolation)
    worker = worker_of(isolation)
    killer = threading.Timer(0.5, os.kill, (worker, number))
    killer.start()
    with pytest.raises(MachineFault, match="ended from outside"):
        call(child, "spin", seconds=20)
    child.close()


@pytest.mark.parametrize("isolation", ["process", pytest.param("bubblewrap", marks=needs_bubblewrap)])
def test_nobody_can_kill_themselves_to_look_like_a_victim(isolation: Isolation) -> None:
    child = start(isolation, source=OWN_END)
    found = eval(call(child, "ends"), {})  # noqa: S307 our own list of strings
    assert all(item.startswith("refused") for item in found), found
    child.close()


@pytest.mark.parametrize("isolation", ["process", pytest.param("bubblewrap", marks=needs_bubblewrap)])
def test_a_name_in_any_bytes_ends_nobody(isolation: Isolation) -> None:
    """The nursery looks at its workers' /proc/PID/stat, where the kernel writes the name as it is."""
    source = """
import ctypes, time

def rename():
    ctypes.CDLL(None).prctl(15, b"\\xff) Z\\n", 0, 0, 0)
    time.sleep(0.5)
    return "there"
"""
    child = start(isolation, source=source)
    assert call(child, "rename") == "there"
    assert call(child, "rename") == "there"
    child.close()


@contextlib.contextmanager
def busy_processor(count: int, work: str = "pass") -> Iterator[None]:
    """The first processor, wanted by so many endless programs, each in a session: Linux shares it among these."""
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); print(flush=True)\n"
    code += f"import time\nwhile True:\n {work}"
    programs = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
        for _ in range(count)
    ]
    try:
        for program in programs:
            assert program.stdout is not None
            program.stdout.readline()
        yield
    finally:
        for program in programs:
            program.kill()
            program.communicate()


@needs_bubblewrap
def test_who_gets_no_processor_has_not_answered_too_late() -> None:
    child = start("bubblewrap")
    worker = worker_of("bubblewrap")
    for task in map(int, os.listdir(f"/proc/{worker}/task")):
        os.sched_setaffinity(task, {min(os.sched_getaffinity(0))})
        os.sched_setscheduler(task, os.SCHED_IDLE, os.sched_param(0))
    with busy_processor(12), pytest.raises(MachineFault, match="too busy"):
        call(child, "spin", seconds=1)
    child.close()


@needs_bubblewrap
def test_who_shares_a_processor_has_its_time_all_the_same_and_no_more() -> None:
    """An endless loop is a timeout, whatever else the machine does; two others take two thirds of its processor."""
    child = start("bubblewrap")
    os.sched_setaffinity(worker_of("bubblewrap"), {min(os.sched_getaffinity(0))})
    began = time.monotonic()
    with busy_processor(2), pytest.raises(ChildFailure) as caught:
        call(child, "spin", seconds=1)
    assert caught.value.finding == "timeout"
    assert time.monotonic() - began > 1.3
    child.close()


TWO_THREADS = """
import torch

def work():
    x = torch.ones(2**24)
    for _ in range(30):
        x.exp_()
        x.log_()
    return "done"
"""


@needs_bubblewrap
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="asks for two processors")
def test_whose_second_thread_gets_no_processor_does_not_sleep() -> None:
    """The main thread waits for it in OpenMP's barrier, and looks as if it slept."""
    child = start("bubblewrap", source=TWO_THREADS, threads=2)
    call(child, "work")
    before = child.usage()
    call(child, "work")
    after = child.usage()
    assert before is not None
    assert after is not None
    limit = 2.2 * (after.cpu - before.cpu) / 2  # of what its two threads need side by side
    worker = worker_of("bubblewrap")
    first, second = sorted(os.sched_getaffinity(0))[:2]
    for task in map(int, os.listdir(f"/proc/{worker}/task")):
        os.sched_setaffinity(task, {second if task == worker else first})
    with busy_processor(2):
        began = time.monotonic()
        assert call(child, "work", seconds=limit) == "done"
    assert time.monotonic() - began > limit, "it was not made to wait"
    child.close()


LOOKS_BUSY = """
import time

def work():
    # spins only when it would be looked at next, if that were when the time that is left is over
    half, began, used = 1.0, time.monotonic(), time.process_time()
    look = began + 2 * half
    while True:
        time.sleep(max(0.0, look - 0.04 - time.monotonic()))
        while time.monotonic() < look + 0.02:
            pass
        look += half - (time.process_time() - used)
"""


@needs_bubblewrap
def test_who_sleeps_and_only_looks_busy_is_too_late() -> None:
    child = start("bubblewrap", source=LOOKS_BUSY)
    began = time.monotonic()
    with pytest.raises(ChildFailure) as caught:
        call(child, "work", seconds=2)
    assert caught.value.finding == "timeout"
    assert time.monotonic() - began < 4
    child.close()


@needs_bubblewrap
def test_processor_time_that_is_used_up_is_no_trouble_of_the_machines() -> None:
    """Beside programs that work in bursts, the kernel's own limit counts more or less than there was."""
    burst = "e = time.perf_counter() + 0.001\n while time.perf_counter() < e: pass\n time.sleep(0.001)"
    child = start("bubblewrap", cpu_seconds=4)
    os.sched_setaffinity(worker_of("bubblewrap"), {min(os.sched_getaffinity(0))})
    with busy_processor(2, burst), pytest.raises(ChildFailure) as caught:
        call(child, "spin", seconds=60)
    assert caught.value.finding == "cpu_limit"
    child.close()


@needs_bubblewrap
def test_a_killed_child_costs_no_points_and_the_next_check_is_well(tmp_path: Path) -> None:
    source = (ROOT / "solution" / "invisible_trigger.py").read_text(encoding="utf-8")
    (tmp_path / "invisible_trigger.py").write_text(source, encoding="utf-8")
    with Grading(tmp_path, load_spec()) as grading:
        first, second, third = (c.id for c in INVISIBLE_TRIGGER.checks[:3])
        assert grading.outcome(first).status is Status.PASSED
        os.kill(worker_of("bubblewrap"), signal.SIGKILL)
        assert grading.outcome(second).status is Status.ERROR
        assert grading.outcome(third).status is Status.PASSED
        assert grading.report_finished().status == "grader_error"


@pytest.mark.parametrize(
    ("after", "had"),
    [
        # one thread computes
        (Usage(9.0, 0, is_ready=True, ran={1: 9.0}, queued={1: 0.1}), 8.0),
        # it waits, and what it waits is not noted yet
        (Usage(1.5, 0, is_ready=True, ran={1: 1.5}, queued={1: 0.1}), 0.5),
        # it waited, and sleeps
        (Usage(1.5, 0, ran={1: 1.5}, queued={1: 7.1}), 3.0),
        # it sleeps
        (Usage(1.0, 0, ran={1: 1.0}, queued={1: 0.1}), 10.0),
        # both threads compute, at half of their speed each
        (Usage(11.0, 0, is_ready=True, ran={1: 6.0, 2: 5.0}, queued={1: 5.1, 2: 5.0}), 5.0),
        # the first sleeps until the second had a processor for a while
        (Usage(3.0, 0, ran={1: 1.0, 2: 2.0}, queued={1: 0.1, 2: 8.0}), 2.0),
        # ten threads fight for its two processors
        (
            Usage(
                21.0,
                0,
                is_ready=True,
                ran=dict.fromkeys(range(10), 2.0),
                queued=dict.fromkeys(range(10), 8.0),
            ),
            10.0,
        ),
    ],
)
def test_what_a_child_had_for_itself(after: Usage, had: float) -> None:
    before = Usage(cpu=1.0, asked=0.0, ran={1: 1.0}, queued={1: 0.1})
    assert after.had_since(before, 10.0, threads=2) == pytest.approx(had)
