"""How a process is shut in: the launcher's command, what it may see, and which kind of isolation this machine gives.

Three kinds, named in every report:

- ``bubblewrap``: own user, pid, network, ipc, uts and cgroup namespaces, no capabilities, uid 65534, an empty
  environment, and a file system that holds the interpreter, its packages, the system's libraries and a few files of the
  grader, all read-only. Nothing in it can be written, so there is nothing to fill and nothing to carry over.
- ``process``: a subprocess with an empty environment, where bubblewrap is absent (macOS, a container without user
  namespaces). **No security claim**: it reads whatever the user can read.
- ``none``: this very process, for a debugger. No isolation of any kind.

In the first two, ``lockdown.py`` adds limits on memory, CPU time and open files and, on Linux, a seccomp filter (no
new processes, signals or sockets, no changes to other processes); ``nursery.py`` counts threads.

Not covered by bubblewrap: a bug in the kernel, in bubblewrap or in the parent's own reading of frames; timing and other
side channels on the same machine; memory bandwidth and caches; real memory up to the spec's limit, for each job; and
the read-only files named above, which student code can read. Where root starts it, root's own files belong to the user
in there, so it rests on all of them being mounted read-only: an ordinary user is safer.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

Isolation = Literal["bubblewrap", "process", "none"]
ROOT = Path(__file__).resolve().parents[1]
# What the child imports of the grader; nothing else of it exists in the sandbox.
CHILD_FILES = (
    *(
        "__init__.py",
        "lockdown.py",
        "nursery.py",
        "optimizers.py",
        "processors.py",
        "shared_memory.py",
        "wire.py",
        "worker.py",
    ),
    *("lab/__init__.py", "lab/models.py"),
)
CODE_IN_SANDBOX = "/grader"


class SandboxError(Exception):
    """The isolation could not be set up: the grader's trouble, never the student's."""


class MachineFault(SandboxError):
    """The machine is the reason that student code gave no answer: it was killed from outside, or got no processor."""


@functools.cache
def available_isolation() -> tuple[Isolation, str]:
    """The strongest isolation that works here, by trying it, and why it is not a stronger one ("" if it is)."""
    if sys.platform != "linux":
        return "process", f"bubblewrap does not exist for {sys.platform}"
    if shutil.which("bwrap") is None:
        return "process", "bubblewrap is not installed (Debian, Ubuntu: apt-get install bubblewrap)"
    command = [*_bubblewrap(()), sys.executable, "-I", "-S", "-c", ""]
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


def start_python(
    isolation: Isolation, code: str, *, descriptors: Sequence[int], scratch: Path
) -> subprocess.Popen[bytes]:
    """Start the interpreter on ``code`` inside the isolation; what it prints comes through ``stdout``.

    Args:
        isolation: ``bubblewrap`` or ``process``.
        code: may import the modules of ``CHILD_FILES``.
        descriptors: the only ones that are inherited.
        scratch: working and home directory under ``process``; bubblewrap shows none.

    Raises:
        OSError: it does not start.
    """
    inside = isolation == "bubblewrap"
    path = CODE_IN_SANDBOX if inside else str(ROOT)
    program = f"import sys; sys.path.insert(0, {path!r}); {code}"
    # -I: no environment variables, no user's packages, not the working directory; -B: no files of bytecode
    command = [sys.executable, "-I", "-B", "-u", "-W", "ignore", "-c", program]
    return subprocess.Popen(
        [*_bubblewrap(_child_mounts()), *command] if inside else command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # An empty environment for the launcher too: --clearenv leaves it readable in /proc/1/environ.
        env=_environment(Path("/") if inside else scratch),
        cwd="/" if inside else scratch,
        pass_fds=tuple(descriptors),
        start_new_session=True,
    )


def _environment(home: Path) -> dict[str, str]:
    return {
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "OMP_WAIT_POLICY": "PASSIVE",  # see grader/__init__.py
        # but spin for 0.1 ms before sleeping: the two threads of a small step wait for each other that often. With a
        # tenth of that a step took 3 and 10 % longer in two rounds of 4 runs, with ten times that no less
        # (`python -m tests.bench steps`).
        "GOMP_SPINCOUNT": "20000",
        # Keep freed memory instead of handing every activation back to the kernel and faulting it in again
        "MALLOC_MMAP_THRESHOLD_": str(2**28),
        "MALLOC_TRIM_THRESHOLD_": str(2**28),
        # torch's compiler wants a directory as soon as it is imported; nothing is ever written to it
        "TORCHINDUCTOR_CACHE_DIR": str(home),
        # macOS refuses to fork a process that has loaded some of its libraries, unless it is told
        "OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES",
    }


def _bubblewrap(mounts: Sequence[str]) -> list[str]:
    """The launcher's command up to the program to run."""
    return [
        "bwrap",
        *("--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session"),
        *("--cap-drop", "ALL", "--uid", "65534", "--gid", "65534", "--hostname", "sandbox"),
        *_system_mounts(),
        *mounts,
        *("--proc", "/proc", "--dev", "/dev"),
        # Read-only once everything is in its place. / and /dev are tmpfs of half the memory. /proc is a way out where
        # root starts the sandbox, since root's files are its own then (/proc/sys/kernel/core_pattern); and the
        # launcher, which has no system call filter, could be rewritten through /proc/1/mem.
        *("--remount-ro", "/dev", "--remount-ro", "/proc", "--remount-ro", "/"),
        *("--chdir", "/", "--"),
    ]


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
    found = {sys.base_prefix, os.path.realpath(sys.base_prefix), sys.prefix}
    found |= {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    # an environment's interpreter is a link, perhaps through further links, to the real one
    found |= {str(executable.parent), str(executable.resolve().parent)}
    if "/usr" in found:  # a system's Python: the programs and packages of /usr, and not all of it
        found = (found - {"/usr"}) | {"/usr/bin"}
    mounted = ("/usr/lib", "/usr/local/lib", *found)
    return sorted(p for p in found if not any(q != p and p.startswith(f"{q}/") for q in mounted))


def _child_mounts() -> list[str]:
    mounts: list[str] = []
    for name in CHILD_FILES:
        mounts += ["--ro-bind", str(ROOT / "grader" / name), f"{CODE_IN_SANDBOX}/grader/{name}"]
    return mounts
