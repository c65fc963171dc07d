"""Inside the isolation: a process that has torch imported already and forks a worker whenever the parent asks.

Importing torch takes seconds; a fork takes milliseconds. This process never loads student code and never reads anything
from a worker. A worker cannot reach it: before the student's file is loaded, ``lockdown.py`` has taken away signals,
tracing and new processes, the control socket is closed, and this process's memory is unreadable to others.

Not covered: the workers of one nursery share its pid namespace, so one can see in ``/proc`` that another exists.

Control messages are single JSON objects, strictly question and answer: ``start`` (with two descriptors: the worker's
socket and the pipe for what it prints) -> ``{"pid"}``; ``cpu`` -> ``{"seconds", "queued"}``; ``wait`` and ``end`` ->
``{"status"}`` as ``os.waitpid`` gives it, or null while the worker runs.
"""

from __future__ import annotations

import json
import os
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

MAX_MESSAGE = 4096


def main(descriptor: int) -> None:
    """Answer control messages on an inherited socket until the parent goes away."""
    die_with_parent()
    hide_memory()
    # The first optimiser imports PyTorch's compiler: here, once, and not in a worker's first step. Without triton,
    # which is for GPUs and is another 70 MiB.
    sys.modules["triton"] = None  # type: ignore[assignment]
    torch.optim.SGD([torch.zeros(1)])
    control = socket.socket(fileno=descriptor)
    control.sendall(b'{"ready": true}')
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, MAX_MESSAGE, 2)
        if not message:  # the parent is gone
            os.kill(0, signal.SIGKILL)
        control.sendall(json.dumps(_answer(json.loads(message), descriptors, control)).encode())


def _answer(question: dict[str, Any], descriptors: list[int], control: socket.socket) -> dict[str, Any]:
    if question["do"] == "start":
        return {"pid": _fork(question, descriptors, control)}
    if question["do"] == "cpu":
        return {"seconds": _cpu_seconds(question["pid"]), "queued": _queued_seconds(question["pid"])}
    if question["do"] == "end":
        os.kill(question["pid"], signal.SIGKILL)
        return {"status": os.waitpid(question["pid"], 0)[1]}
    deadline = time.monotonic() + question["seconds"]
    while True:
        pid, status = os.waitpid(question["pid"], os.WNOHANG)
        if pid or time.monotonic() > deadline:
            return {"status": status if pid else None}
        time.sleep(0.005)


def _cpu_seconds(pid: int) -> float | None:
    """CPU time that a worker has used, over all its threads; None where the system does not say."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _queued_seconds(pid: int) -> float | None:
    """How long a worker's main thread was ready to run but had to wait for a processor; None where not known."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return None


def _fork(question: dict[str, Any], descriptors: list[int], control: socket.socket) -> int:
    channel, output = descriptors
    pid = os.fork()
    if pid:
        os.close(channel)
        os.close(output)
        return pid
    try:
        control.close()
        for stream in (1, 2):
            os.dup2(output, stream)
        os.close(output)
        worker.main(channel, Limits(**question["limits"]), question["threads"])
    except BaseException:  # noqa: BLE001 whatever it was, a worker must never come back from here
        traceback.print_exc()
    finally:
        os._exit(1)
