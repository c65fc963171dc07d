"""``python -m grader doctor``: what this machine has, what is missing, and what its isolation really keeps.

Every promise of the isolation is tried from inside, by a program of ours that runs where a student's would, so the
answer is about this machine and not about what should be.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import os
import platform
import re
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from grader import messages
from grader.isolation import ROOT, Isolation, SandboxError, available_isolation

if TYPE_CHECKING:
    from grader.sandbox import ChildServer

READY, NOT_READY = 0, 1
LEAST_DISK = 2 * 2**30  # bytes: trained weights, pictures and reports of a class
LEAST_MEMORY = 2 * 2**30  # bytes: one grade with its sandbox, and some room
_SIGNS = {"ok": "✓", "note": "-", "missing": "✗"}
_VARIABLE = "BACKDOOR_LAB_PROBE"

Status = Literal["ok", "note", "missing"]

# Runs inside the isolation. Every function takes nothing and returns whether its promise holds.
PROBE = """
import os, socket, subprocess, sys, time
try:
    import resource
except ImportError:
    resource = None

def refused(action):
    try:
        action()
    except (OSError, MemoryError, ValueError, subprocess.SubprocessError):
        return True
    return False

def write(path):
    open(path, "x").close()
    os.unlink(path)

def status(name):
    return next(line.split()[1:] for line in open("/proc/self/status") if line.startswith(name + ":"))

def limited(name, most):
    return resource is not None and 0 <= resource.getrlimit(getattr(resource, name))[0] <= most

def reads_nothing_else():
    return not any(os.path.exists(path) for path in {places!r})

def writes_nothing():
    folders = ("/", "/tmp", "/dev", "/dev/shm", "/var/tmp", os.path.expanduser("~"), os.getcwd(), sys.prefix, {root!r})
    files = ("/proc/sys/kernel/core_pattern", "/proc/1/mem", "/proc/self/oom_score_adj")
    return (all(refused(lambda p=folder: write(p + "/backdoor-lab-probe")) for folder in folders)
            and all(refused(lambda p=path: open(p, "r+b").close()) for path in files)
            and refused(lambda: os.chmod("/dev/null", 0o666)))

def starts_no_process():
    return refused(os.fork) and refused(lambda: subprocess.run([sys.executable, "-c", ""]))

def sees_no_other_process():
    return len([name for name in os.listdir("/proc") if name.isdigit()]) <= 3 and refused(lambda: os.kill(1, 0)) \\
        and refused(lambda: os.sched_setaffinity(1, {{0}}))

def has_no_network():
    names = os.listdir("/sys/class/net") if os.path.isdir("/sys/class/net") else []
    return not set(names) - {{"lo"}} and refused(socket.socket)

def has_no_privileges():
    return int(status("CapEff")[0], 16) == 0 and status("NoNewPrivs") == ["1"] and set(status("Uid")) == {{"65534"}}

def has_an_empty_environment():
    seen = open("/proc/1/environ").read() + repr(dict(os.environ))
    return {variable!r} not in seen and "PATH=" not in seen

def is_limited():
    return (limited("RLIMIT_AS", {memory}) and refused(lambda: bytearray({memory})) and limited("RLIMIT_CPU", {cpu})
            and limited("RLIMIT_NOFILE", 64) and limited("RLIMIT_FSIZE", 0) and limited("RLIMIT_CORE", 0))

def is_stopped():
    time.sleep(600)
"""
PROMISES = (
    *("reads_nothing_else", "writes_nothing", "starts_no_process", "sees_no_other_process", "has_no_network"),
    *("has_no_privileges", "has_an_empty_environment", "is_limited", "is_stopped"),
)


@dataclass(frozen=True)
class Row:
    """One thing that was looked at; its text is ``doctor.NAME.STATUS`` of the messages.

    Attributes:
        status: ``note`` where something is absent that is not needed.
    """

    name: str
    status: Status
    values: dict[str, messages.Value] = field(default_factory=dict)

    def text(self, language: str) -> str:
        return messages.ui(f"doctor.{self.name}.{self.status}", language, **self.values)


def add_doctor(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser of ``python -m grader``."""
    doctor = commands.add_parser(
        "doctor",
        help="say what this machine has and what is missing",
        description="Looks at Python, packages, data, the sandbox and what it really keeps, GPU, disk and memory. "
        "Exit status: 0 when nothing is missing, 1 when something is.",
    )
    doctor.add_argument(
        "--batch",
        action="store_true",
        help="to grade other people's code: without bubblewrap something is missing",
    )
    doctor.add_argument("--lang", choices=messages.LANGUAGES, default="en", help="language of the answer")
    doctor.set_defaults(run=_doctor)


def _doctor(options: argparse.Namespace) -> int:
    _tell(messages.ui("doctor.title", options.lang))
    missing = False
    for row in examine(batch=options.batch):
        missing |= row.status == "missing"
        indent = "    " if row.name.startswith("promise.") else "  "
        _tell(f"{indent}{_SIGNS[row.status]} {row.text(options.lang)}")
    _tell(messages.ui("doctor.not_ready" if missing else "doctor.ready", options.lang))
    return NOT_READY if missing else READY


def _tell(text: str) -> None:
    """Print it; what this terminal's encoding does not have becomes a question mark."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding), flush=True)


def examine(*, batch: bool) -> Iterator[Row]:
    """Look at one thing after the other.

    Args:
        batch: other people's code is to be graded, so that bubblewrap is needed.
    """
    yield Row("python", "ok", {"version": platform.python_version(), "path": sys.executable})
    packages = _packages()
    yield packages
    if packages.status == "ok":
        yield from (_mnist(), _cifar10(), *_isolation(batch), _gpu(), _disk(), _memory())


def _packages() -> Row:
    """What pyproject.toml asks for, against what is installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lacking = []
    for requirement in project["dependencies"]:
        name, _, least = requirement.partition(">=")
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            lacking.append(requirement)
            continue
        if _numbers(version) < _numbers(least):
            lacking.append(f"{requirement} (here: {version})")
    if lacking:
        return Row("packages", "missing", {"packages": lacking})
    return Row("packages", "ok", {"torch": importlib.metadata.version("torch")})


def _numbers(version: str) -> tuple[int, ...]:
    """(2, 4, 1) of ``2.4.1+cpu``."""
    return tuple(int(number) for number in re.findall(r"\d+", version.split("+")[0])[:3])


def _mnist() -> Row:
    from grader.lab.data import DataError, split_mnist

    try:
        train, test = split_mnist(0)
    except DataError as error:
        return Row("mnist", "missing", {"why": str(error)})
    return Row("mnist", "ok", {"count": len(train) + len(test)})


def _cifar10() -> Row:
    from grader.lab.data import DATA_DIR_VARIABLE, _cifar10_dir

    folder = _cifar10_dir(None)
    there = (folder / "cifar10" / "test.npz").is_file() or (folder / "cifar-10-batches-py").is_dir()
    return Row("cifar10", "ok" if there else "note", {"folder": str(folder), "variable": DATA_DIR_VARIABLE})


def _isolation(batch: bool) -> Iterator[Row]:
    isolation, why = available_isolation()
    if isolation == "bubblewrap":
        yield Row("isolation", "ok")
    else:
        yield Row("isolation", "missing" if batch else "note", {"why": why})
    # without bubblewrap nothing was promised: what does not hold is said, and is no fault
    broken: Status = "missing" if isolation == "bubblewrap" else "note"
    try:
        kept = promises(isolation)
    except SandboxError as error:
        yield Row("sandbox", "missing", {"why": str(error)})
        return
    yield from (Row(f"promise.{name}", "ok" if kept[name] else broken) for name in PROMISES)


def promises(isolation: Isolation) -> dict[str, bool]:
    """Each promise, tried from inside.

    Raises:
        SandboxError: the isolation does not start, or does not answer.
    """
    import numpy as np

    from grader.lockdown import Limits, cpu_limit
    from grader.sandbox import ChildFailure, ChildServer
    from grader.spec import load_spec
    from grader.wire import Frame

    limits = load_spec().limits
    own = Limits(limits.memory_mib * 2**20, limits.cpu_seconds)
    source = PROBE.format(
        places=_places_to_find(), root=str(ROOT), variable=_VARIABLE,
        memory=own.memory_bytes, cpu=cpu_limit(own),
    )  # fmt: skip
    os.environ[_VARIABLE] = "x"
    child = ChildServer(
        isolation,
        limits=own,
        threads=1,
        start_seconds=limits.start_seconds,
    )
    del os.environ[_VARIABLE]
    kept = {}
    try:
        content = np.frombuffer(source.encode(), np.uint8)
        probe = Frame("load", {"filename": "/probe.py", "functions": {}}, (content,))
        child.ask(probe, seconds=limits.load_seconds)
        for name in PROMISES:
            if name != "is_stopped":
                answer = child.ask(
                    Frame("call", {"function": name, "arguments": []}), seconds=limits.call_seconds
                )
                kept[name] = answer.kind == "returned" and answer.body["result"].get("value") is True
    except ChildFailure as failure:
        raise SandboxError(f"a program in there gave no answer: {failure.finding}") from failure
    finally:
        kept["is_stopped"] = _is_stopped(child)
    return kept


def _places_to_find() -> list[str]:
    """Files that are there for the user and must not be for student code: of the project, the system, the home."""
    found = [str(ROOT / "pyproject.toml"), str(ROOT / "grader" / "specs"), "/etc/passwd", "/etc/hosts"]
    with contextlib.suppress(OSError):
        found += [str(path) for path in sorted(Path.home().iterdir()) if path.is_file()]
    return found[:50]


def _is_stopped(child: ChildServer) -> bool:
    """It sleeps for minutes; the wall limit must end the question, and closing must end the process."""
    from grader.sandbox import ChildFailure
    from grader.wire import Frame

    try:
        child.ask(Frame("call", {"function": "is_stopped", "arguments": []}), seconds=0.3)
    except ChildFailure as failure:
        return failure.finding == "timeout"
    finally:
        child.close()
    return False


def _gpu() -> Row:
    import torch

    if torch.cuda.is_available():
        return Row("gpu", "ok", {"name": torch.cuda.get_device_name()})
    return Row("gpu", "note")


def _disk() -> Row:
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    values: dict[str, messages.Value] = {"folder": folder, "free": free / 2**30, "least": LEAST_DISK // 2**30}
    return Row("disk", "ok" if free >= LEAST_DISK else "missing", values)


def _memory() -> Row:
    """As Linux tells it; other systems do not say it in one place."""
    from grader.batch.machine import usable_cores, usable_memory

    values: dict[str, messages.Value] = {"cores": usable_cores(), "least": LEAST_MEMORY // 2**30}
    if (available := usable_memory()) is None:
        return Row("memory", "note", values)
    return Row(
        "memory", "ok" if available >= LEAST_MEMORY else "missing", {**values, "free": available / 2**30}
    )
