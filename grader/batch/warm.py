"""Fresh processes that start in milliseconds: forked from a parent that has torch, the grader and MNIST in memory.

Importing torch costs about two seconds of CPU time and 280 MiB a process. Here one *warm parent* pays for it once, and
every grade runs in a fork of it: its memory is shared until written to, and whatever becomes of it, crash or kill,
touches no other. The warm parent has one thread and runs nothing but this loop, which is what makes forking it safe.
It holds the sandboxes as well, one for each grade that runs at a time: what ``sandbox.Nursery`` says of the workers of
one sandbox is said of submissions here, one after another.

When the process that asked ends, however it ends, the warm parent sees its socket close and exits, and the kernel
kills the forks along with it (and bubblewrap its child along with them). Forking like this is for Linux; elsewhere
every grade starts cold.
"""

from __future__ import annotations

import contextlib
import gc
import io
import itertools
import math
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from grader.isolation import Isolation, SandboxError, available_isolation
from grader.lockdown import die_with_parent, hide_memory
from grader.sandbox import Nursery, adopt

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 300.0
_GRACE_SECONDS = 15.0
_LONGEST_MESSAGE = 64 * 1024


class WarmParentFailed(Exception):
    """No grading process can be started here; the message says why."""


def run_in_fresh_process(directory: Path, seconds: float) -> None:
    """Run ``unit.work(directory)`` in a process of its own and wait for it to end. May be called from any thread.

    The process is killed after ``seconds`` of wall time. How it ended shows in what it left in ``directory``.

    Raises:
        WarmParentFailed: processes cannot be started here at all.
    """
    warm_parent = start_early()
    if warm_parent is not None:
        warm_parent.run(directory, seconds)
    else:
        command = [sys.executable, "-c", _program("unit", "work", f"{str(directory)!r}")]
        with (directory / "log.txt").open("wb") as log, contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(command, timeout=seconds, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def _program(module: str, function: str, argument: str) -> str:
    return (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from grader.batch.{module} import {function}; "
        f"{function}({argument})"
    )


class WarmParent:
    """The asking side: starts the warm parent and asks it for forks.

    Args:
        slots: how many forks will run at once; each has a sandbox of its own, which serves one fork after another.
        pictures: whether they will draw any; if not, Matplotlib is left out (26 MiB).
    """

    def __init__(self, slots: int, *, pictures: bool = True) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _program("warm", "serve", f"{theirs.fileno()}, {slots}, {pictures}")],
                pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL, cwd=ROOT,
                # set before torch is imported; a terminal's Ctrl-C is for the process that asks
                env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}, start_new_session=True,
            )  # fmt: skip
        self.slots = slots
        self._asking = threading.Lock()
        self._is_ready = False
        self._busy: set[int] = set()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def run(self, directory: Path, seconds: float) -> None:
        """Have a fork do the job in this folder, and wait until no such process is left."""
        ended, held = os.pipe()
        slot = None
        try:
            try:
                with self._asking:
                    self._await_ready()
                    slot = next(n for n in itertools.count() if n not in self._busy)
                    message = f"{slot} {math.ceil(seconds)} {directory.absolute()}".encode()
                    socket.send_fds(self._socket, [message], [held])
                    self._busy.add(slot)
            except OSError:  # it died: so did the job, and the next one gets a new warm parent
                return
            finally:
                os.close(held)
            end = select.poll()
            end.register(ended, 0)  # only the fork holds the other end, and nothing is ever written to it
            end.poll(1000 * (seconds + _GRACE_SECONDS))
        finally:
            os.close(ended)
            self._busy.discard(-1 if slot is None else slot)

    def _await_ready(self) -> None:
        if not self._is_ready:
            self._socket.settimeout(START_SECONDS)
            answer = self._socket.recv(_LONGEST_MESSAGE)
            if answer != b"ready":
                raise WarmParentFailed(
                    answer.decode("utf-8", "replace") or "the warm parent died at its start"
                )
            self._is_ready = True

    def close(self) -> None:
        """End it and every fork of it."""
        self._process.kill()
        self._process.wait()
        self._socket.close()


_lock = threading.Lock()
_current: WarmParent | None = None
_wanted = (1, True)


def start_early(slots: int | None = None, *, pictures: bool | None = None) -> WarmParent | None:
    """This process's warm parent: started at the first need, and again when it has died; None where there is none.

    Called before there is work, it lets the warm parent import while the caller does other things.

    Args:
        slots, pictures: see ``WarmParent``; None: as asked for last, so that a dead one's successor is like it.
    """
    global _current, _wanted
    if sys.platform != "linux":
        return None
    with _lock:
        _wanted = (slots or _wanted[0], _wanted[1] if pictures is None else pictures)
        if _current is None or not _current.is_alive:
            _current = WarmParent(_wanted[0], pictures=_wanted[1])
        return _current


def stop() -> None:
    """End this process's warm parent, and with it every grade that is running."""
    global _current, _wanted
    with _lock:
        _wanted = (1, True)
        if _current is not None:
            _current.close()
            _current = None


# --- in the warm parent ----------------------------------------------------------------------------------------------


@dataclass
class _Slot:
    """A place for one fork at a time, with the sandbox that serves it and the pid of its latest fork.

    Attributes:
        processors: those that its forks may use; its sandbox was started on them.
    """

    nursery: Nursery
    processors: set[int]
    pid: int = 0


def serve(descriptor: int, slots: int, pictures: bool) -> None:
    """The warm parent's whole life: import, then fork on demand until the asking side is gone."""
    asking = socket.socket(fileno=descriptor)
    try:
        isolation = available_isolation()[0]
        # the sandboxes import while this process does
        places = {n: _new_slot(isolation, own) for n, own in enumerate(_processors(slots))}
        _preload()
        if pictures:
            _preload_plots()
        _ready_to_fork()
    except Exception as error:  # noqa: BLE001 the asking side is told
        with contextlib.suppress(OSError):  # nobody asks any more
            asking.send(f"{type(error).__name__}: {error}".encode()[:_LONGEST_MESSAGE])
        return
    parent = os.getpid()
    try:
        asking.send(b"ready")
    except OSError:  # a batch with nothing to grade has ended meanwhile
        return
    while True:
        try:
            message, descriptors, _, _ = socket.recv_fds(asking, _LONGEST_MESSAGE, 1)
        except OSError:  # it ended without having read that this is ready
            return
        if not message:
            return
        number, seconds, directory = message.decode().split(" ", 2)
        slot = _free_slot(places, int(number), isolation)
        slot.pid = os.fork()
        if slot.pid == 0:
            try:
                asking.close()
                os.sched_setaffinity(0, slot.processors)
                adopt(slot.nursery, isolation)
                _do(directory, int(seconds), parent)
                os._exit(0)
            except BaseException:  # noqa: BLE001 nothing may return into this loop
                traceback.print_exc()
            finally:
                os._exit(1)
        for held in descriptors:
            os.close(held)


def _processors(slots: int) -> list[set[int]]:
    """Which processors each slot may use: one of its own, where there are as many as slots; else all.

    A grade's two processes take turns, so one processor is enough for it. Left to the kernel, those of two grades met
    on one of two processors often enough to cost some of the throughput (``python -m tests.bench class``).
    """
    available = os.sched_getaffinity(0)
    return [{one} for one in sorted(available)] if slots == len(available) else [available] * slots


def _new_slot(isolation: Isolation, processors: set[int]) -> _Slot:
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, processors)  # the sandbox inherits it
    try:
        return _Slot(Nursery(isolation), processors)
    finally:
        os.sched_setaffinity(0, own)


def _free_slot(places: dict[int, _Slot], number: int, isolation: Isolation) -> _Slot:
    """The slot with a sandbox that is ready; a fork that did not end well leaves a sandbox that may not be."""
    slot = places.get(number)
    if slot is not None and slot.pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(slot.pid, signal.SIGKILL)  # the asking side has given it up, if it is not gone already
        if os.waitpid(slot.pid, 0)[1] != 0:
            slot.nursery.close()
    if slot is None or not slot.nursery.is_alive:
        slot = places[number] = _new_slot(isolation, slot.processors if slot else os.sched_getaffinity(0))
    with contextlib.suppress(SandboxError):  # the fork will meet the same, and tell
        slot.nursery.await_ready(START_SECONDS)
    return slot


def _preload() -> None:
    """Everything that a grade would import or compute in the same way as every other."""
    import torch

    from grader.lab import data

    torch.set_num_threads(1)
    data.keep_mnist()
    import skimage.metrics

    import grader.batch.unit
    import grader.grading  # noqa: F401 for the forks
    from grader import messages

    messages.preload()
    skimage.metrics.structural_similarity(*np.zeros((2, 8, 8)), data_range=1.0)


def _preload_plots() -> None:
    from matplotlib import pyplot as plt

    import grader.lab.plots  # noqa: F401 for the forks

    figure, axes = plt.subplots(layout="constrained")
    axes.set_title("finds the fonts")
    figure.savefig(io.BytesIO(), format="png")
    plt.close(figure)


def _ready_to_fork() -> None:
    hide_memory()
    if threading.active_count() > 1:
        raise RuntimeError("a thread was started, so forking is not safe")
    gc.collect()
    gc.freeze()  # a fork's garbage collector must not touch, and so copy, what is shared


def _do(directory: str, seconds: int, parent: int) -> None:
    from grader.batch.unit import LOG, work

    die_with_parent()
    if os.getppid() != parent:  # it died before that took hold
        return
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(seconds)  # the kernel ends this process then, whatever it is doing
    log = os.open(os.path.join(directory, LOG), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    work(directory)
    sys.stdout.flush()
    sys.stderr.flush()
