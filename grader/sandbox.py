"""Parent side of the step server: start it in the strongest isolation there is, ask it, end it.

Three kinds, named in every report:

- ``bubblewrap``: own user, pid, network, ipc, uts and cgroup namespaces, no capabilities, uid 65534, an empty
  environment, and a file system that holds the interpreter, its packages, the system's libraries and seven files of
  the grader, all read-only. Nothing in it can be written, so there is nothing to fill and nothing to carry over.
  ``lockdown.py`` adds limits on memory, CPU time and open files, and a seccomp filter (no new processes, signals or
  sockets).
- ``process``: a limited subprocess with an empty environment, where bubblewrap is absent (macOS, Windows, a container
  without user namespaces). **No security claim**: it reads whatever the user can read.
- ``none``: this very process, for a debugger. No isolation of any kind.

Not covered by bubblewrap: a bug in the kernel, in bubblewrap or in the parent's own reading of frames; timing and other
side channels on the same machine; memory bandwidth and caches; and the read-only files named above, which student
code can read.
"""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Literal, Protocol

import numpy as np

from grader.lockdown import Limits, hide_memory
from grader.wire import Channel, Frame, Timeout, WireError

Isolation = Literal["bubblewrap", "process", "none"]
ROOT = Path(__file__).resolve().parents[1]
# What the child imports of the grader; nothing else of it exists in the sandbox.
CHILD_FILES = (
    *("__init__.py", "worker.py", "wire.py", "lockdown.py", "optimizers.py"),
    *("lab/__init__.py", "lab/models.py"),
)
CODE_IN_SANDBOX = "/grader"
MAX_OUTPUT = 64 * 1024


class SandboxError(Exception):
    """The isolation could not be set up: the grader's trouble, never the student's."""


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

    def ask(
        self, kind: str, body: dict[str, Any], arrays: Sequence[np.ndarray] = (), *, seconds: float
    ) -> Frame:
        """Send a question and return its answer.

        Raises:
            ChildFailure: no complete answer came in time, or not the answer to this question.
        """
        ...

    def close(self) -> None:
        """End the child, whatever it is doing; nothing of it is left."""
        ...


@functools.cache
def available_isolation() -> tuple[Isolation, str]:
    """The strongest isolation that works here, by trying it, and why it is not a stronger one ("" if it is)."""
    if sys.platform != "linux":
        return "process", f"bubblewrap does not exist for {sys.platform}"
    if shutil.which("bwrap") is None:
        return "process", "bubblewrap is not installed (Debian, Ubuntu: apt-get install bubblewrap)"
    command = [*_bubblewrap([]), sys.executable, "-I", "-S", "-c", ""]
    try:
        done = subprocess.run(command, env={}, capture_output=True, timeout=30, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        return "process", f"bubblewrap does not start: {error}"
    if done.returncode != 0:
        return (
            "process",
            f"bubblewrap does not work here: {done.stderr.decode(errors='replace').strip()[:300]}",
        )
    return "bubblewrap", ""


class ChildServer:
    """A step server in a process of its own. It starts in the constructor and is ready at the first answer.

    Args:
        isolation: ``bubblewrap`` or ``process``.
        limits: memory and CPU time of the child.
        threads: OpenMP threads of the child.
        start_seconds: how long the child may take to import torch and report ready.
    """

    def __init__(self, isolation: Isolation, *, limits: Limits, threads: int, start_seconds: float) -> None:
        self._ready_by = time.monotonic() + start_seconds
        self._is_ready = False
        self._scratch: Path | None = None
        ours, theirs = socket.socketpair()
        try:
            self._process = self._start(isolation, theirs, limits, threads)
        except OSError as error:
            ours.close()
            self._remove_scratch()
            raise SandboxError(f"the step server does not start: {error}") from error
        finally:
            theirs.close()
        self._channel = Channel(ours)
        self._output = bytearray()
        self._reader = threading.Thread(target=self._drain, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    def _start(
        self, isolation: Isolation, theirs: socket.socket, limits: Limits, threads: int
    ) -> subprocess.Popen[bytes]:
        descriptor = theirs.fileno()
        code = CODE_IN_SANDBOX if isolation == "bubblewrap" else str(ROOT)
        program = (
            f"import sys; sys.path.insert(0, {code!r}); from grader.lockdown import Limits; "
            f"from grader.worker import main; main({descriptor}, {limits!r}, {threads})"
        )
        command = [sys.executable, "-I", "-B", "-u", "-W", "ignore", "-c", program]
        if isolation == "bubblewrap":
            command = [*_bubblewrap(_child_mounts()), *command]
        else:
            hide_memory()  # a bare subprocess of the same user could read this process through /proc
            self._scratch = Path(tempfile.mkdtemp(prefix="backdoor-lab-"))
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # An empty environment for the launcher too: --clearenv leaves it readable in /proc/1/environ.
            env=_child_environment(threads, self._scratch),
            cwd=self._scratch or "/",
            pass_fds=(descriptor,),
            start_new_session=True,
        )

    @property
    def output(self) -> str:
        """What the student's code printed so far, the first 64 KiB of it."""
        return self._output.decode("utf-8", errors="replace")

    def ask(
        self, kind: str, body: dict[str, Any], arrays: Sequence[np.ndarray] = (), *, seconds: float
    ) -> Frame:
        if not self._is_ready:
            self._await_ready()
        deadline = time.monotonic() + seconds
        nonce = secrets.token_hex(8)
        try:
            self._channel.send(Frame(kind, body, tuple(arrays), nonce), deadline)
            answer = self._channel.receive(deadline)
        except Timeout:
            raise ChildFailure("timeout", {"seconds": seconds}) from None
        except WireError as error:
            raise self._why_gone(error) from None
        if answer.nonce != nonce:
            raise ChildFailure("protocol", {"message": "an answer to a question that was not asked"})
        return answer

    def _await_ready(self) -> None:
        try:
            self._channel.receive(self._ready_by)
        except (Timeout, WireError) as error:
            self.close()
            raise SandboxError(
                f"the step server did not start ({error!r}); it printed: {self.output[-500:]}"
            ) from error
        self._is_ready = True

    def _why_gone(self, error: WireError) -> ChildFailure:
        """Tell a child that ended from one that wrote something unreadable."""
        try:
            status = self._process.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            return ChildFailure("protocol", {"message": str(error)})
        # bubblewrap reports a signal of its child as 128 + the signal's number
        number = -status if status < 0 else status - 128
        if number in (signal.SIGXCPU, signal.SIGKILL):
            return ChildFailure("cpu_limit")
        name = signal.Signals(number).name if number in signal.valid_signals() else f"exit status {status}"
        return ChildFailure("crashed", {"how": name})

    def _drain(self, stream: IO[bytes]) -> None:
        """Keep the pipe empty so that printing never blocks the child, and keep only the beginning of it."""
        while chunk := stream.read1(64 * 1024):  # type: ignore[attr-defined]
            self._output += chunk[: MAX_OUTPUT - len(self._output)]

    def close(self) -> None:
        self._channel.close()
        # bubblewrap's --die-with-parent takes its whole pid namespace along; a bare child has its own process group.
        for kill in (self._process.kill, lambda: os.killpg(self._process.pid, signal.SIGKILL)):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill()
        self._process.wait()
        self._reader.join(timeout=1)
        self._remove_scratch()

    def _remove_scratch(self) -> None:
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)


class LocalServer:
    """The worker's session in this very process, for a debugger: no isolation of any kind."""

    output = ""

    def __init__(self, device: str = "cpu") -> None:
        from grader.worker import Session

        self._session = Session(device)

    def ask(
        self, kind: str, body: dict[str, Any], arrays: Sequence[np.ndarray] = (), *, seconds: float
    ) -> Frame:
        # Copies, as a pipe would make them: what the student's code writes into must not be the parent's own.
        answer = self._session.handle(Frame(kind, body, tuple(np.array(a) for a in arrays)))
        return replace(answer, arrays=tuple(np.array(a) for a in answer.arrays))

    def close(self) -> None:
        pass


def _child_environment(threads: int, home: Path | None) -> dict[str, str]:
    environment = {
        "OMP_NUM_THREADS": str(threads),
        "PYTHONHASHSEED": "0",
        "LC_ALL": "C.UTF-8",
        # torch wants a directory for compiled code as soon as an optimiser is made; the sandbox has none to write to
        "TORCHINDUCTOR_CACHE_DIR": str(home or "/"),
    }
    if home is not None:
        environment["HOME"] = str(home)
    if sys.platform == "win32":  # Windows cannot load DLLs without it
        environment["SYSTEMROOT"] = os.environ["SYSTEMROOT"]
    return environment


def _bubblewrap(mounts: Sequence[str]) -> list[str]:
    """The launcher's command up to the program to run."""
    return [
        "bwrap",
        *("--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session"),
        *("--cap-drop", "ALL", "--uid", "65534", "--gid", "65534", "--hostname", "sandbox"),
        *_system_mounts(),
        *mounts,
        # /dev and / are tmpfs of half the memory unless they are made small and read-only
        *("--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/", "--"),
    ]  # fmt: skip


def _system_mounts() -> Iterator[str]:
    """Shared libraries and the interpreter with its packages, read-only."""
    for name in ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib"):
        path = Path(name)
        if path.is_symlink():
            yield from ("--symlink", os.readlink(path), name)
        elif path.is_dir():
            yield from ("--ro-bind", name, name)
    yield from ("--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache")
    for directory in _interpreter_directories():
        yield from ("--ro-bind", directory, directory)


def _interpreter_directories() -> list[str]:
    """Where Python and its packages lie; a virtual environment has two such places."""
    executable = Path(sys.executable)
    found = [sys.base_prefix, sys.prefix, sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    # an environment's interpreter is a link, perhaps through further links, to the real one
    found += [str(executable.parent), str(executable.resolve().parent)]
    if (
        "/usr" in found
    ):  # a system Python: its packages are there, its configuration and home directories are not
        found.remove("/usr")
        found += ["/usr/bin", "/usr/lib", "/usr/local/lib"]
    unique = sorted(
        {os.path.realpath(p) if p == sys.base_prefix else p for p in found if os.path.isdir(p)} | set(found)
    )
    return [p for p in unique if not any(q != p and p.startswith(f"{q}/") for q in unique)]


def _child_mounts() -> list[str]:
    mounts: list[str] = []
    for name in CHILD_FILES:
        mounts += ["--ro-bind", str(ROOT / "grader" / name), f"{CODE_IN_SANDBOX}/grader/{name}"]
    return mounts
