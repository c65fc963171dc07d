"""Parent side of the step server: start a worker in the isolation, ask it, end it.

What the isolation covers and what it does not is written in ``isolation.py``.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import random
import secrets
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Protocol

from grader import shared_memory
from grader.isolation import Isolation, MachineFault, SandboxError, start_python
from grader.lockdown import Limits, can_refuse_system_calls, hide_memory
from grader.shared_memory import SharedMemory
from grader.usage import Ended, Usage
from grader.wire import Channel, Frame, Timeout, WireError

MAX_OUTPUT = 64 * 1024
PATIENCE = 6.0
"""How many times as long as its limit a child may take that gets no processor."""
_RANDOM = random.SystemRandom()

Meanwhile = Callable[[], None]
"""What the parent does while a child works: its own part of a step costs no time then."""


def nothing() -> None:
    """The parent waits."""


def _until_next_look(seconds: float) -> float:
    """About a twentieth, which nobody can foresee: who sleeps must not look as if it waited for a processor."""
    return seconds / 20 * _RANDOM.uniform(0.5, 1.5)


def _seconds_of(work: Callable[[], None]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


class ChildFailure(Exception):
    """The child gave no answer that can be used; ``finding`` says how (a key of ``messages/``)."""

    def __init__(self, finding: str, values: dict[str, Any] | None = None) -> None:
        super().__init__(finding)
        self.finding = finding
        self.values = values or {}


class StepServer(Protocol):
    """Something that answers frames: a child process, or this one."""

    @property
    def output(self) -> str:
        """What the student's code printed so far (the beginning of it)."""
        ...

    def ask(self, question: Frame, *, seconds: float, meanwhile: Meanwhile = nothing) -> Frame:
        """Send a question and return its answer.

        Args:
            meanwhile: done between the two; its time is not the child's.

        Raises:
            ChildFailure: no complete answer came in time, or not the answer to this question.
            MachineFault: the child was killed from outside, or got no processor.
        """
        ...

    def usage(self) -> Usage | None:
        """What the child has taken; None where that is not known."""
        ...

    def close(self) -> None:
        """End the child, whatever it is doing; nothing of it is left."""
        ...


class Nursery:
    """A process inside the isolation with torch imported, which forks workers; one serves many, one after another.

    Args:
        isolation: ``bubblewrap`` or ``process``.
    """

    def __init__(self, isolation: Isolation) -> None:
        self._lock = threading.Lock()
        self._started_by = os.getpid()
        self._is_ready = False
        self._scratch = Path(tempfile.mkdtemp(prefix="backdoor-lab-"))
        if isolation == "process":
            hide_memory()  # a bare subprocess of the same user could read this process through /proc
        self._control, theirs = socket.socketpair()
        code = f"from grader.nursery import main; main({theirs.fileno()})"
        try:
            self.process = start_python(isolation, code, descriptors=[theirs.fileno()], scratch=self._scratch)
        except OSError as error:
            self._control.close()
            shutil.rmtree(self._scratch, ignore_errors=True)
            raise SandboxError(f"the sandbox does not start: {error}") from error
        finally:
            theirs.close()
        atexit.register(self.close)

    @property
    def is_alive(self) -> bool:
        if os.getpid() != self._started_by:  # this process was forked since, and cannot ask the system
            return self._control.fileno() >= 0
        return self.process.poll() is None

    def await_ready(self, seconds: float) -> None:
        """Wait until it has imported torch. Raises SandboxError if that takes longer."""
        with self._lock:
            self._await_ready(seconds)

    def start(
        self, channel: int, output: int, memory: int | None, *, limits: Limits, threads: int, seconds: float
    ) -> int:
        """Fork a worker that serves frames on ``channel``, their arrays in ``memory``, and prints to ``output``.

        Returns:
            its pid in there.

        Raises:
            SandboxError: the sandbox does not answer in time.
        """
        question = {"do": "start", "limits": asdict(limits), "threads": threads}
        descriptors = (channel, output) if memory is None else (channel, output, memory)
        return int(self._ask(question, seconds, descriptors)["pid"])

    def wait(self, pid: int, seconds: float) -> Ended | None:
        """How a worker ended; None if it still runs after so many seconds."""
        answer = self._ask({"do": "wait", "pid": pid, "seconds": seconds}, seconds + 10)
        return None if answer["status"] is None else Ended(**answer)

    def usage(self, pid: int, asked: float) -> Usage | None:
        """What a worker has taken; None where the system does not say."""
        answer = self._ask({"do": "cpu", "pid": pid}, 30)
        if answer["seconds"] is None or not answer["queued"]:
            return None
        ran, queued = (
            {int(thread): took for thread, took in answer[name].items()} for name in ("ran", "queued")
        )
        return Usage(answer["seconds"], asked, answer["ready"], ran, queued)

    def end(self, pid: int) -> None:
        """Kill a worker and wait until it is gone."""
        self._ask({"do": "end", "pid": pid}, 30)

    def _ask(
        self, question: dict[str, Any], seconds: float, descriptors: Sequence[int] = ()
    ) -> dict[str, Any]:
        with self._lock:
            self._await_ready(seconds)
            try:
                self._control.settimeout(seconds)
                socket.send_fds(self._control, [json.dumps(question).encode()], descriptors)
                return self._receive()
            except (OSError, ValueError) as error:
                raise self._failed(error) from error

    def _await_ready(self, seconds: float) -> None:
        try:
            if not self._is_ready:
                self._control.settimeout(seconds)
                self._receive()
                self._is_ready = True
        except (OSError, ValueError) as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> SandboxError:
        self.close()
        return SandboxError(f"the sandbox does not answer ({error!r}); it printed: {self._printed()}")

    def _receive(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._control.recv(4096))
        return answer

    def _printed(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.read().decode(errors="replace")[-500:]

    def close(self) -> None:
        """End it and every worker in it."""
        atexit.unregister(self.close)
        self._control.close()
        # bubblewrap's --die-with-parent takes its whole pid namespace along; without it there is a process group.
        for kill in (self.process.kill, lambda: os.killpg(self.process.pid, signal.SIGKILL)):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill()
        self.process.wait()
        shutil.rmtree(self._scratch, ignore_errors=True)


@functools.cache
def _nursery_of(isolation: Isolation, process_id: int) -> list[Nursery]:
    """The process's nursery, in a list so that a dead one can be replaced; after a fork there is a new one."""
    return []


def nursery(isolation: Isolation) -> Nursery:
    """This process's nursery, started at the first call.

    Raises:
        SandboxError: it does not start.
    """
    held = _nursery_of(isolation, os.getpid())
    if not held or not held[0].is_alive:
        held[:] = [Nursery(isolation)]
    return held[0]


def adopt(held: Nursery, isolation: Isolation) -> None:
    """Take over the nursery of the process that this one was forked from, which must not use it meanwhile."""
    _nursery_of(isolation, os.getpid())[:] = [held]


class ChildServer:
    """A step server in a process of its own, forked from the nursery; it is ready at the first answer.

    Args:
        isolation: ``bubblewrap`` or ``process``.
        limits: memory and CPU time of the child.
        threads: OpenMP threads of the child.
        start_seconds: how long the sandbox may take to import torch.
    """

    def __init__(self, isolation: Isolation, *, limits: Limits, threads: int, start_seconds: float) -> None:
        self._nursery = nursery(isolation)
        self._limits = limits
        self._threads = threads
        self._start_seconds = start_seconds
        self._channel: Channel | None = None
        self._output = bytearray()
        self._asked = 0.0

    @property
    def output(self) -> str:
        return self._output.decode("utf-8", errors="replace")

    def ask(self, question: Frame, *, seconds: float, meanwhile: Meanwhile = nothing) -> Frame:
        channel = self._channel or self._start()
        began = time.monotonic()
        deadline = began + seconds
        nonce = secrets.token_hex(8)
        try:
            channel.send(replace(question, nonce=nonce), deadline)
            took = _seconds_of(meanwhile)
            began, deadline = began + took, deadline + took
            answer = self._receive(channel, deadline, seconds)
        except Timeout:
            raise ChildFailure("timeout", {"seconds": seconds}) from None
        except WireError as error:
            raise self._why_gone(error) from None
        finally:
            self._asked += time.monotonic() - began
        if answer.nonce != nonce:
            raise ChildFailure("protocol", {"message": "an answer to a question that was not asked"})
        return answer

    def _receive(self, channel: Channel, deadline: float, seconds: float) -> Frame:
        """The answer; where half of the time has passed without one, the child gets the rest for itself."""
        if not channel.await_data(deadline - seconds / 2):
            deadline = max(deadline, self._await_patiently(channel, seconds / 2) + 1)
        return channel.receive(deadline)

    def _await_patiently(self, channel: Channel, seconds: float) -> float:
        """Wait until an answer begins, or the child has had so many seconds; time without a processor is not counted.

        Returns:
            the time now.

        Raises:
            Timeout: the child has had its time.
            MachineFault: it did not get that much in ``PATIENCE`` times as long.
        """
        started = now = time.monotonic()
        before, had = self.usage(), 0.0
        if before is None:  # the system does not say
            if not channel.await_data(started + seconds):
                raise Timeout
            return time.monotonic()
        while not channel.await_data(now + min(seconds - had, _until_next_look(seconds))):
            then, now, after = now, time.monotonic(), self.usage()
            if after is None:
                raise Timeout
            had += after.had_since(before, now - then, self._threads)
            before = after
            if had > 0.98 * seconds:
                raise Timeout
            if now - started > PATIENCE * seconds:
                raise MachineFault(
                    f"the machine was too busy: in {now - started:.1f} s student code had {had:.1f} s to run"
                )
        return time.monotonic()

    def usage(self) -> Usage | None:
        if self._channel is None or not self._pid:
            return None
        return self._nursery.usage(self._pid, self._asked)

    def _start(self) -> Channel:
        """Fork the worker; only now, so that the nursery imports torch while the parent does other things."""
        ours, theirs = socket.socketpair()
        reading, writing = os.pipe()
        memory = shared_memory.new_descriptor()
        try:
            self._pid = self._nursery.start(
                theirs.fileno(),
                writing,
                memory,
                limits=self._limits,
                threads=self._threads,
                seconds=self._start_seconds,
            )
            self._channel = Channel(ours, None if memory is None else SharedMemory(memory, is_parent=True))
        except SandboxError:
            ours.close()
            os.close(reading)
            raise
        finally:
            theirs.close()
            os.close(writing)
            if memory is not None:
                os.close(memory)
        self._reader = threading.Thread(target=self._drain, args=(reading,), daemon=True)
        self._reader.start()
        return self._channel

    def _why_gone(self, error: WireError) -> ChildFailure:
        """Tell a child that ended from one that wrote something unreadable.

        Raises:
            MachineFault: it was killed or told to end, and not by the nursery; it cannot do that to itself, being
                locked down.
        """
        ended = self._nursery.wait(self._pid, 0.5)
        if ended is None:
            return ChildFailure("protocol", {"message": str(error)})
        self._pid = 0
        if ended.ended_for is not None:
            return ChildFailure(ended.ended_for)
        if os.WIFEXITED(ended.status):
            return ChildFailure("crashed", {"how": f"exit status {os.WEXITSTATUS(ended.status)}"})
        killed_by = os.WTERMSIG(ended.status)
        if killed_by in (signal.SIGKILL, signal.SIGTERM) and can_refuse_system_calls():
            raise MachineFault(
                f"student code was ended from outside after {ended.seconds:.1f} s of processor time: "
                "most likely the machine ran out of memory; grade fewer submissions at a time"
            )
        if killed_by in (signal.SIGXCPU, signal.SIGKILL):
            return ChildFailure("cpu_limit")
        return ChildFailure("crashed", {"how": signal.Signals(killed_by).name})

    def _drain(self, descriptor: int) -> None:
        """Keep the pipe empty so that printing never blocks the child, and keep only the beginning of it."""
        with os.fdopen(descriptor, "rb", buffering=0) as stream:
            while chunk := stream.read(64 * 1024):
                self._output += chunk[: MAX_OUTPUT - len(self._output)]

    def close(self) -> None:
        if self._channel is None:
            return
        self._channel.close()
        self._channel = None
        if self._pid and self._nursery.is_alive:
            self._nursery.end(self._pid)
        self._reader.join(timeout=1)
