"""Inside the isolation: a process that has torch imported already and forks a worker whenever the parent asks.

Importing torch takes seconds; a fork takes milliseconds. This process never loads student code and never reads anything
from a worker. A worker cannot reach it: before the student's file is loaded, ``lockdown.py`` has taken away signals,
tracing and new processes, the control socket is closed, and this process's memory is unreadable to others.

Not covered: the workers of one nursery share its pid namespace, so one can see in ``/proc`` that another exists.

Control messages are single JSON objects, strictly question and answer: ``start`` (with descriptors: the worker's
socket, the pipe for what it prints and, on Linux, the memory that it shares with the parent) -> ``{"pid"}``; ``cpu`` ->
``{"seconds", "queued", "ready"}``; ``wait`` and ``end`` -> ``{"status"}`` as ``os.waitpid`` gives it, or null while the
worker runs, ``{"seconds"}``, the processor time that it had taken then, and ``{"threads"}``, whether it was ended since
it had started too many.
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


_running: set[int] = set()
_bombs: set[int] = set()


def _watch(control: socket.socket) -> None:
    """Wait for the next question, and meanwhile end every worker that has started too many threads."""
    while not select.select([control], [], [], _LOOK_SECONDS if _running else None)[0]:
        _end_bombs()


def _end_bombs() -> None:
    for pid in _running - _bombs:
        fields = _stat(pid)
        if fields is not None and int(fields[17]) > MAX_THREADS:
            _bombs.add(pid)
            os.kill(pid, signal.SIGKILL)  # not reaped yet, so this is still the worker's


def _reap(pid: int, options: int = 0) -> dict[str, Any]:
    """The wait status of a worker and the processor time that it took; None while it runs (with WNOHANG)."""
    found, status, used = os.wait4(pid, options)
    if not found:
        return {"status": None, "seconds": None}
    _running.discard(pid)
    return {"status": status, "seconds": used.ru_utime + used.ru_stime}


def _answer(question: dict[str, Any], descriptors: list[int], control: socket.socket) -> dict[str, Any]:
    if question["do"] == "start":
        return {"pid": _fork(question, descriptors, control)}
    if question["do"] == "cpu":
        pid = question["pid"]
        return {"seconds": _cpu_seconds(pid), "queued": _queued_seconds(pid), "ready": _is_ready(pid)}
    if question["do"] == "end":
        os.kill(question["pid"], signal.SIGKILL)
        return _reap(question["pid"])
    deadline = time.monotonic() + question["seconds"]
    while True:
        found = _reap(question["pid"], os.WNOHANG)
        if found["status"] is not None or time.monotonic() > deadline:
            return {**found, "threads": question["pid"] in _bombs}
        _end_bombs()
        time.sleep(0.005)


def _stat(pid: int) -> list[str] | None:
    """The fields of ``/proc/PID/stat`` from the third on; None where the system does not say."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _cpu_seconds(pid: int) -> float | None:
    """CPU time that a worker has used, over all its threads; None where the system does not say."""
    fields = _stat(pid)
    if fields is None:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _queued_seconds(pid: int) -> float | None:
    """How long a worker's main thread was ready to run but had to wait for a processor; None where not known."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return None


def _is_ready(pid: int) -> bool:
    """Whether a worker's main thread runs or waits for a processor."""
    fields = _stat(pid)
    return fields is not None and fields[0] == "R"


def _fork(question: dict[str, Any], descriptors: list[int], control: socket.socket) -> int:
    channel, output, *memory = descriptors
    pid = os.fork()
    if pid:
        for descriptor in descriptors:
            os.close(descriptor)
        _running.add(pid)
        _bombs.discard(pid)  # the number may have been an earlier one's
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
