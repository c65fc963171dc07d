"""Each promise of the sandbox, tried from inside by code that a student might send."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from grader.isolation import ROOT, SandboxError, available_isolation
from grader.lockdown import Limits
from grader.sandbox import ChildFailure, ChildServer, nursery
from grader.wire import Frame
from tests.processes import descendants

ISOLATION, WHY_NOT = available_isolation()
needs_bubblewrap = pytest.mark.skipif(ISOLATION != "bubblewrap", reason=WHY_NOT)
pytestmark = pytest.mark.alone
SECRET = "SECRET_OF_THE_LAUNCHER"

# Every function takes nothing and returns what it found, or what the attempt raised.
SOURCE = """
import ctypes, glob, os, resource, signal, socket, subprocess, sys, threading, time

def attempt(action):
    try:
        return str(action())
    except BaseException as error:
        return f"refused: {type(error).__name__}: {error}"

def write(path):
    with open(path, "w") as file:
        file.write("x")

def writes():
    places = ["/x", "/tmp/x", "/dev/x", "/dev/shm/x", "/home/x", "/var/tmp/x", "/grader/x", sys.prefix + "/x",
              os.path.dirname(os.__file__) + "/x", "/proc/self/mem2"]
    return [attempt(lambda p=p: write(p)) for p in places].__repr__()

def reopen(path, mode):
    with open(path, mode):
        return "opened"

def machine():
    # where root starts the sandbox, root's files are the sandbox's own
    values = ["/proc/sys/kernel/core_pattern", "/proc/sys/vm/overcommit_memory", "/proc/self/oom_score_adj",
              "/proc/1/mem", "/proc/1/oom_score_adj", "/proc/2/timerslack_ns", "/proc/self/mem"]
    found = [attempt(lambda p=p: reopen(p, "r+b")) for p in values]
    for device in ("null", "zero", "random", "urandom", "tty", "ptmx"):
        path = "/dev/" + device
        found.append(attempt(lambda p=path: os.chmod(p, os.stat(p).st_mode & 0o777)))
        found.append(attempt(lambda p=path: os.chown(p, 65534, 65534)))
        found.append(attempt(lambda p=path: os.utime(p)))
    return repr(found)

def others():
    # 2 is the nursery, which forks the next student's worker
    return repr([attempt(action) for action in (
        lambda: resource.prlimit(2, resource.RLIMIT_NOFILE, (5, 5)),
        lambda: resource.prlimit(1, resource.RLIMIT_CPU, (1, 1)),
        lambda: os.sched_setaffinity(2, {0}),
        lambda: os.setpriority(os.PRIO_PROCESS, 2, 19),
        lambda: os.sched_setscheduler(2, os.SCHED_IDLE, os.sched_param(0)),
        lambda: open("/proc/2/mem", "rb"),
        lambda: open("/proc/2/environ", "rb").read(),
        lambda: os.listdir("/proc/2/root"),
    )])

def syscalls():
    # memfd_create, io_uring_setup, userfaultfd, pidfd_open, inotify_init1, one that does not exist yet
    libc = ctypes.CDLL(None, use_errno=True)
    numbers = {"x86_64": (319, 425, 323, 434, 294, 900), "aarch64": (279, 425, 282, 434, 26, 900)}[os.uname().machine]
    return repr([libc.syscall(number, 0, 0, 0, 0, 0, 0) for number in numbers])

def bomb():
    # threads without Python's part, which would soon use up the address space
    libc, attributes = ctypes.CDLL(None), ctypes.create_string_buffer(64)
    libc.pthread_attr_init(attributes)
    libc.pthread_attr_setstacksize(attributes, ctypes.c_size_t(16384))
    for _ in range(30_000):
        handle = ctypes.c_ulong()
        libc.pthread_create(ctypes.byref(handle), attributes, ctypes.cast(libc.pause, ctypes.c_void_p), None)
    time.sleep(60)

def shared_memory():
    # Python's mmap keeps a descriptor of what it maps
    found = [fd for fd in os.listdir("/proc/self/fd") if "memfd" in attempt(lambda: os.readlink("/proc/self/fd/" + fd))]
    return repr([attempt(lambda fd=int(fd), n=n: os.ftruncate(fd, n)) for fd in found for n in (0, 2**30)])

def processors():
    import torch
    torch.ones(2**20).add_(1)
    return repr([sorted(os.sched_getaffinity(int(task))) for task in os.listdir("/proc/self/task")])

def root(): return repr(sorted(os.listdir("/")))
def environment(): return repr(dict(os.environ)) + open("/proc/1/environ").read() + open("/proc/self/environ").read()
def processes(): return repr([p for p in os.listdir("/proc") if p.isdigit()])
def network(): return attempt(lambda: socket.create_connection(("127.0.0.1", 9), 1))
def interfaces(): return attempt(lambda: open("/proc/net/dev").read())
def fork(): return attempt(os.fork)
def run(): return attempt(lambda: subprocess.run(["/bin/true"]))
def signals(): return attempt(lambda: os.kill(1, signal.SIGKILL))
def capabilities():
    wanted = ("CapEff", "NoNewPrivs", "Seccomp:", "Uid")
    return repr([line for line in open("/proc/self/status") if line.startswith(wanted)])
def unshare(): return attempt(lambda: ctypes.CDLL(None, use_errno=True).unshare(0x10000000) == 0 and "unshared")
def ptrace(): return attempt(lambda: ctypes.CDLL(None).ptrace(16, 1, 0, 0) == 0 and "attached")
def raise_limit(): return attempt(lambda: resource.setrlimit(resource.RLIMIT_AS, (-1, -1)))
def memory(): return attempt(lambda: len(bytearray(6 * 2**30)))
def files(): return attempt(lambda: len([open("/dev/null") for _ in range(1000)]))
def home(): return repr([attempt(lambda p=p: os.listdir(p)) for p in ("/root", "/home", os.path.expanduser("~"))])
def thread():
    out = []
    worker = threading.Thread(target=lambda: out.append("ran"))
    worker.start(); worker.join()
    return out[0]
def spin():
    while True: pass
def nap(): time.sleep(0.6)
def ignore_and_sleep():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(3600)
def flood():
    for _ in range(2000): print("x" * 100_000)
    return "printed"
def sklearn():
    from sklearn.cluster import KMeans
    from sklearn.decomposition import FastICA
    import numpy as np
    x = np.random.default_rng(0).normal(size=(60, 5))
    return str(len(set(KMeans(2, n_init=2, random_state=0).fit_predict(FastICA(3, random_state=0).fit_transform(x)))))
def torchvision():
    import torchvision
    return torchvision.__name__
def optimizer():
    import torch
    @torch.compiler.disable()
    def step():
        p = torch.ones(1, requires_grad=True)
        p.grad = torch.ones(1)
        torch.optim.SGD([p], lr=0.5).step()
        return p.item()
    return f"{step()} {len([name for name in sys.modules if name.startswith('torch._dynamo')])}"
def compiler():
    import torch, torchvision  # torchvision imports a part of it
    from torch._dynamo import convert_frame, utils
    from torch.utils.checkpoint import checkpoint
    x = torch.tensor(3.0, requires_grad=True)
    checkpoint(torch.square, x, use_reentrant=False).backward()
    once = convert_frame.counters is utils.counters and torch._dynamo.utils is utils
    return f"{x.grad.item()} {torch.func.grad(torch.square)(torch.tensor(3.0)).item()} {once}"
"""


def load(source: str) -> Frame:
    body = {"filename": "/submission/x.py", "functions": {}}
    return Frame("load", body, (np.frombuffer(source.encode(), np.uint8),))


def start(isolation: str, *, cpu_seconds: int = 60, threads: int = 1, source: str = SOURCE) -> ChildServer:
    limits = Limits(memory_bytes=4 * 2**30, cpu_seconds=cpu_seconds)
    child = ChildServer(isolation, limits=limits, threads=threads, start_seconds=60)  # type: ignore[arg-type]
    assert child.ask(load(source), seconds=60).kind == "loaded"
    return child


def call(child: ChildServer, function: str, seconds: float = 30) -> str:
    answer: Frame = child.ask(Frame("call", {"function": function, "arguments": []}), seconds=seconds)
    assert answer.kind == "returned", answer.body
    return str(answer.body["result"]["value"])


@pytest.fixture(scope="module")
def child() -> Iterator[ChildServer]:
    if ISOLATION != "bubblewrap":
        pytest.skip(WHY_NOT)
    os.environ[SECRET] = "do not tell"
    child = start("bubblewrap")
    del os.environ[SECRET]
    yield child
    child.close()


def test_nothing_can_be_written(child: ChildServer) -> None:
    found = eval(call(child, "writes"), {})  # noqa: S307 our own list of strings
    assert all(item.startswith("refused") for item in found), found


def test_nothing_of_the_machine_can_be_changed(child: ChildServer) -> None:
    found = eval(call(child, "machine"), {})  # noqa: S307 our own list of strings
    assert len(found) == 25
    assert all(item.startswith("refused") for item in found), found


def test_other_processes_limits_and_priorities_stay(child: ChildServer) -> None:
    found = eval(call(child, "others"), {})  # noqa: S307 our own list of strings
    assert all(item.startswith("refused") for item in found), found
    assert eval(call(child, "syscalls"), {}) == [-1] * 6  # noqa: S307 our own list of numbers


def test_memory_shared_with_the_parent_keeps_its_size(child: ChildServer) -> None:
    found = eval(call(child, "shared_memory"), {})  # noqa: S307 our own list of strings
    assert len(found) == 2
    assert all(item.startswith("refused") for item in found), found


@needs_bubblewrap
def test_threads_are_bound_where_there_is_a_processor_for_each_and_no_other() -> None:
    available = sorted(os.sched_getaffinity(0))
    for threads in {1, len(available)}:
        child = start("bubblewrap", threads=threads)
        try:
            found = eval(call(child, "processors"), {})  # noqa: S307 our own list of numbers
        finally:
            child.close()
        if threads == 1:
            assert all(processors == available for processors in found)
        else:
            assert all([processor] in found for processor in available), found


def test_the_file_system_is_an_allow_list(child: ChildServer) -> None:
    found = call(child, "root")
    assert "submission" not in found
    for name in ("home", "var", "srv", "tmp", "boot", "mnt"):
        # unless the interpreter itself lies there
        assert f"'{name}'" not in found or sys.prefix.startswith(f"/{name}/"), found
    assert "refused" in call(child, "home")


def test_the_repository_is_not_there(child: ChildServer) -> None:
    probe = f"""
import os
def look():
    places = [{str(ROOT)!r} + "/" + p for p in ("solution", "tests", "grader", ".git", "grader/specs", "grader/data")]
    return repr([p for p in places if os.path.exists(p)] + sorted(os.listdir("/grader/grader")))
"""
    child.ask(load(probe), seconds=10)
    try:
        found = call(child, "look")
    finally:
        child.ask(load(SOURCE), seconds=10)
    assert (
        found
        == "['__init__.py', 'lab', 'lockdown.py', 'nursery.py', 'optimizers.py', 'processors.py', 'shared_memory.py', "
        "'wire.py', 'worker.py']"
    )


def test_the_parent_works_meanwhile_and_on_its_own_time(child: ChildServer) -> None:
    question = Frame("call", {"function": "nap", "arguments": []})
    began = time.monotonic()
    answer = child.ask(question, seconds=1.0, meanwhile=lambda: time.sleep(1.2))
    assert answer.kind == "returned"
    assert time.monotonic() - began < 1.6  # not one after the other


def test_the_environment_is_empty(child: ChildServer) -> None:
    found = call(child, "environment")
    assert SECRET not in found
    assert "PATH" not in found
    assert str(Path.home()) not in found


def test_other_processes_are_out_of_sight_and_reach(child: ChildServer) -> None:
    assert len(eval(call(child, "processes"), {})) <= 3  # noqa: S307 the launcher's init, the nursery, itself
    for function in ("signals", "ptrace", "fork", "run"):
        found = call(child, function)
        assert found.startswith("refused") or found == "False", (function, found)


def test_there_is_no_network(child: ChildServer) -> None:
    assert call(child, "network").startswith("refused")
    assert "eth" not in call(child, "interfaces")


def test_no_privileges_are_left_and_none_can_be_had(child: ChildServer) -> None:
    found = call(child, "capabilities")
    assert "CapEff:\\t0000000000000000" in found
    assert "NoNewPrivs:\\t1" in found
    assert "Seccomp:\\t2" in found
    assert "Uid:\\t65534\\t65534\\t65534\\t65534" in found
    assert call(child, "unshare") in ("False", "refused: PermissionError: [Errno 1] Operation not permitted")
    assert call(child, "raise_limit").startswith("refused")


def test_memory_and_files_are_limited(child: ChildServer) -> None:
    assert call(child, "memory").startswith("refused: MemoryError")
    assert call(child, "files").startswith("refused: OSError")


def test_threads_and_the_allowed_packages_work(child: ChildServer) -> None:
    assert call(child, "thread") == "ran"
    assert call(child, "sklearn", seconds=60) == "2"
    assert call(child, "torchvision", seconds=60) == "torchvision"


def test_an_optimizer_steps_without_the_compiler_and_whoever_wants_it_gets_it() -> None:
    child = start(ISOLATION)
    try:
        assert call(child, "optimizer") == "0.5 1"
        assert call(child, "compiler", seconds=60) == "6.0 6.0 True"
        assert call(child, "optimizer").startswith("0.5 ")
    finally:
        child.close()


def test_a_flood_of_output_is_harmless_and_cut(child: ChildServer) -> None:
    assert call(child, "flood") == "printed"
    assert len(child.output) <= 64 * 1024


@needs_bubblewrap
@pytest.mark.parametrize("function", ["spin", "ignore_and_sleep"])
def test_endless_code_is_ended_and_leaves_nothing(function: str) -> None:
    child = start("bubblewrap")
    before = descendants(nursery("bubblewrap").process.pid)
    started = time.monotonic()
    with pytest.raises(ChildFailure) as caught:
        call(child, function, seconds=1)
    assert caught.value.finding == "timeout"
    child.close()
    assert time.monotonic() - started < 5
    assert len(descendants(nursery("bubblewrap").process.pid)) == len(before) - 1


@needs_bubblewrap
def test_cpu_time_is_limited_even_where_wall_time_is_not() -> None:
    child = start("bubblewrap", cpu_seconds=4)
    with pytest.raises(ChildFailure) as caught:
        call(child, "spin", seconds=60)
    assert caught.value.finding == "cpu_limit"
    child.close()


@needs_bubblewrap
def test_a_bomb_of_threads_is_ended_and_the_next_worker_is_well() -> None:
    child = start("bubblewrap")
    started = time.monotonic()
    with pytest.raises(ChildFailure) as caught:
        call(child, "bomb", seconds=20)
    assert caught.value.finding == "thread_limit"
    assert time.monotonic() - started < 25
    child.close()
    child = start("bubblewrap")
    assert call(child, "thread") == "ran"
    child.close()


@needs_bubblewrap
def test_the_child_dies_with_its_parent() -> None:
    code = (
        "import sys, time; sys.path.insert(0, '.'); from tests.test_sandbox import descendants, nursery, start;"
        "c = start('bubblewrap'); print(*descendants(nursery('bubblewrap').process.pid), flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    family = parent.stdout.readline().split()
    assert len(family) == 4  # launcher, its init, nursery, worker
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 5
    while any(Path(f"/proc/{pid}").exists() for pid in family) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}").exists() for pid in family)


def test_a_nursery_that_died_is_replaced() -> None:
    child = start("process")
    nursery("process").process.kill()
    nursery("process").process.wait()
    with pytest.raises((ChildFailure, SandboxError)):
        call(child, "thread")
    child.close()
    child = start("process")
    assert call(child, "thread") == "ran"
    child.close()


@pytest.mark.skipif(sys.platform == "win32", reason="no such limits on Windows")
def test_the_plain_process_is_limited_too_and_leaves_nothing() -> None:
    child = start("process")
    if sys.platform == "linux":
        assert call(child, "fork").startswith("refused")
        assert call(child, "network").startswith("refused")
        assert call(child, "memory").startswith("refused")
    scratch = nursery("process")._scratch
    assert scratch.exists()
    child.close()
    nursery("process").close()
    assert not scratch.exists()
