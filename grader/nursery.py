"""Inside the isolation: a process that has torch imported already and forks a worker whenever the parent asks.

Importing torch takes seconds; a fork takes milliseconds. This process never loads student code and never reads anything
from a worker. A worker cannot reach it: before the student's file is loaded, ``lockdown.py`` has taken away signals,
tracing and new processes, the control socket is closed, and this process's memory is unreadable to others.

Not covered: the workers of one nursery share its pid namespace, so one can see in ``/proc`` that another exists.

Control messages are single JSON objects, strictly question and answer: ``start`` (with descriptors: the worker's
socket, the pipe for what it prints and, on Linux, the memory that it shares with the parent) -> ``{"pid"}``; ``cpu`` ->
``{"seconds", "ready", "ran", "queued"}``; ``wait`` and ``end`` -> ``{"status"}`` as ``os.waitpid`` gives it, or null
while the worker runs, ``{"seconds"}``, the processor time that it had taken then, and ``{"ended_for"}``:
``thread_limit`` or ``cpu_limit`` where this process ended it for one of these.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import torch

from grader import worker
from grader.lockdown import Limits, die_with_parent, hide_memory
from grader.optimizers import leave_the_compiler_out

MAX_MESSAGE = 4096
MAX_THREADS = 256
"""Threads of one worker. No limit of the kernel's holds for root, so they are counted, and a bomb is ended."""
_LOOK_SECONDS = 0.05
_MOST_NAMED = 64  # threads whose waiting is told: a control message has its limit


def main(descriptor: int) -> None:
    """Answer control messages on an inherited socket until the parent goes away."""
    die_with_parent()
    hide_memory()
    sys.modules["triton"] = None  # type: ignore[assignment]  # for GPUs, and 70 MiB where the compiler comes after all
    leave_the_compiler_out()
    # what a first optimiser imports besides: here, once, and not in a worker
    torch.optim.SGD([torch.zeros(1)])
    gc.freeze()  # a worker's garbage collector must not touch, and so copy, what is shared
    control = socket.socket(fileno=descriptor)
    control.sendall(b'{"ready": true}')
    while True:
        _watch(control)
        message, descriptors, _, _ = socket.recv_fds(control, MAX_MESSAGE, 3)
        if not message:  # the parent is gone
            os.kill(0, signal.SIGKILL)
        control.sendall(json.dumps(_answer(json.loads(message), descriptors, control)).encode())


_running: dict[int, int] = {}
"""Each worker, and the seconds of processor time that it may take."""
_ended_for: dict[int, str] = {}


def _watch(control: socket.socket) -> None:
    """Wait for the next question, and meanwhile end every worker that takes more than it may."""
    while not select.select([control], [], [], _LOOK_SECONDS if _running else None)[0]:
        _end_takers()


def _end_takers() -> None:
    """End workers with too many threads, and those that have used up their processor time.

    The kernel's own limit of processor time counts ticks of a clock, which beside other programs is about a fifth more
    or less than what a worker had; and what the kernel kills could not be told from what a full memory kills.
    """
    for pid in _running.keys() - _ended_for.keys():
        fields = _stat(f"{pid}/stat")
        if fields is None:
            continue
        if int(fields[17]) > MAX_THREADS:
            _ended_for[pid] = "thread_limit"
        elif _cpu_seconds(fields) > _running[pid]:
            _ended_for[pid] = "cpu_limit"
        else:
            continue
        os.kill(pid, signal.SIGKILL)  # not reaped yet, so this is still the worker's


def _reap(pid: int, options: int = 0) -> dict[str, Any]:
    """The wait status of a worker and the processor time that it took; None while it runs (with WNOHANG)."""
    found, status, used = os.wait4(pid, options)
    if not found:
        return {"status": None, "seconds": None}
    _running.pop(pid, None)
    return {"status": status, "seconds": used.ru_utime + used.ru_stime}


def _answer(question: dict[str, Any], descriptors: list[int], control: socket.socket) -> dict[str, Any]:
    if question["do"] == "start":
        return {"pid": _fork(question, descriptors, control)}
    if question["do"] == "cpu":
        return _taken(question["pid"])
    if question["do"] == "end":
        os.kill(question["pid"], signal.SIGKILL)
        return _reap(question["pid"])
    deadline = time.monotonic() + question["seconds"]
    while True:
        found = _reap(question["pid"], os.WNOHANG)
        if found["status"] is not None or time.monotonic() > deadline:
            return {**found, "ended_for": _ended_for.get(question["pid"])}
        _end_takers()
        time.sleep(0.005)


def _taken(pid: int) -> dict[str, Any]:
    """Processor time of a worker over all its threads, that of its first ones and what each of these had to wait for a
    processor, and whether one of them runs or waits for one; nothing where the system does not say.
    """
    fields = _stat(f"{pid}/stat")
    try:
        threads = sorted(map(int, os.listdir(f"/proc/{pid}/task")))[:_MOST_NAMED]
    except OSError:
        threads = []
    times = {thread: times for thread in threads if (times := _ran_and_queued(pid, thread)) is not None}
    states = [_stat(f"{pid}/task/{thread}/stat") for thread in threads]
    return {
        "seconds": None if fields is None else _cpu_seconds(fields),
        "ready": any(state is not None and state[0] == b"R" for state in states),
        "ran": {thread: ran for thread, (ran, _) in times.items()},
        "queued": {thread: queued for thread, (_, queued) in times.items()},
    }


def _stat(name: str) -> list[bytes] | None:
    """The fields of a ``stat`` file under ``/proc`` from the third on; None where the system does not say.

    Nothing is decoded: the second field is the name that a worker gave itself, in any bytes.
    """
    try:
        return (Path("/proc") / name).read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None


def _cpu_seconds(fields: list[bytes]) -> float:
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _ran_and_queued(pid: int, thread: int) -> tuple[float, float] | None:
    """Seconds in which a thread ran, and in which it was ready to run but had no processor; None where not known."""
    try:
        ran, queued, _ = Path(f"/proc/{pid}/task/{thread}/schedstat").read_bytes().split()
    except (OSError, ValueError):
        return None
    return round(int(ran) / 1e9, 3), round(int(queued) / 1e9, 3)


def _fork(question: dict[str, Any], descriptors: list[int], control: socket.socket) -> int:
    channel, output, *memory = descriptors
    pid = os.fork()
    if pid:
        for descriptor in descriptors:
            os.close(descriptor)
        _running[pid] = question["limits"]["cpu_seconds"]
        _ended_for.pop(pid, None)  # the number may have been an earlier one's
        return pid
    try:
        control.close()
        for stream in (1, 2):
            os.dup2(output, stream)
        os.close(output)
        worker.main(channel, memory[0] if memory else None, Limits(**question["limits"]), question["threads"])
    except BaseException:  # noqa: BLE001 whatever it was, a worker must never come back from here
        traceback.print_exc()
    finally:
        os._exit(1)
