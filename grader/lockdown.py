"""What the step server does to itself before it loads a line of student code.

bubblewrap (``sandbox.py``) takes away the file system, the network and the other processes; this module takes away
what is left, from inside: limits on memory, CPU time and open files, and a seccomp filter that refuses new processes,
signals, sockets, tracing, namespaces, changes to other processes' limits and priorities and to files' owners and modes,
and kernel interfaces that no student code needs. The filter holds under the plain ``process`` isolation too, on Linux
for x86-64 and aarch64.

Not covered: the filter lists what is refused, so an old system call that it does not name is let through (those newer
than the list are refused), and files are bubblewrap's business alone: without it, student code reads whatever the user
can read. The number of threads is watched by ``nursery.py``.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
import sys
from dataclasses import dataclass

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
_SECCOMP_MODE_FILTER, _SIGKILL, _CLONE_THREAD = 2, 9, 0x00010000
_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
_LOAD, _JUMP_EQUAL, _JUMP_GREATER_EQUAL, _JUMP_BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_OFFSET_NUMBER, _OFFSET_ARCH, _OFFSET_FIRST_ARGUMENT, _OFFSET_SECOND, _OFFSET_THIRD = 0, 4, 16, 24, 32

# name -> (x86-64, aarch64); None where the architecture has no such call.
_REFUSED: dict[str, tuple[int | None, int | None]] = {
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "kill": (62, 129),
    "tkill": (200, 130),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsmount": (432, 432),
    "mount_setattr": (442, 442),
    "open_by_handle_at": (304, 265),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "kexec_load": (246, 104),
    "memfd_create": (319, 279),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "personality": (135, 92),
    # What changes a process of the same user, as the nursery is, and those that it will fork for others.
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    # What changes a device's file, which is the machine's own.
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "lchown": (94, None),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "setxattrat": (463, 463),
    "removexattrat": (466, 466),
    "file_setattr": (469, 469),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    # What a user has only so many of, on the whole machine.
    "io_setup": (206, 0),
    "inotify_init": (253, None),
    "inotify_init1": (294, 26),
    "fanotify_init": (300, 262),
    "memfd_secret": (447, 447),
    "syslog": (103, 116),
    # A child that is killed below its limits was killed by the machine: it must not be able to do that itself.
    "setrlimit": (160, 164),
    "timer_create": (222, 107),
}
_FIRST_UNKNOWN = 470  # calls that are newer than this list
_CLONE, _CLONE3, _PRLIMIT, _FCNTL, _IOCTL = (56, 220), (435, 435), (302, 261), (72, 25), (16, 29)
_F_SETOWN, _F_SETSIG, _F_SETOWN_EX, _FIOSETOWN, _SIOCSPGRP = (
    8,
    10,
    15,
    0x8901,
    0x8902,
)  # signals from descriptors
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}


class LockdownError(Exception):
    """The kernel refused a limit that the isolation relies on."""


@dataclass(frozen=True)
class Limits:
    """Limits of one step server.

    Attributes:
        memory_bytes: address space (torch with CUDA libraries does not import under 2 GiB; 4 GiB works).
        cpu_seconds: CPU time of the whole process, over all its threads. ``nursery.py`` counts it; see ``cpu_limit``.
        open_files: file descriptors.
    """

    memory_bytes: int
    cpu_seconds: int
    open_files: int = 64


def limit_resources(limits: Limits) -> None:
    """Set the limits for this process; a limit that this system does not know is left alone."""
    try:
        import resource
    except ImportError:  # Windows has no such limits; `process` isolation makes no claim there
        return
    wanted = {
        "RLIMIT_AS": limits.memory_bytes,
        "RLIMIT_CPU": cpu_limit(limits),
        "RLIMIT_NOFILE": limits.open_files,
        "RLIMIT_FSIZE": 0,
        "RLIMIT_CORE": 0,
    }
    for name, value in wanted.items():
        if not hasattr(resource, name) or (name == "RLIMIT_AS" and sys.platform == "darwin"):
            continue  # macOS refuses RLIMIT_AS
        _, hard = resource.getrlimit(getattr(resource, name))
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(getattr(resource, name), (value, value))


def cpu_limit(limits: Limits) -> int:
    """The kernel's limit of CPU time in seconds: on Linux it stands behind the nursery's count, which is exact."""
    return 2 * limits.cpu_seconds if sys.platform == "linux" else limits.cpu_seconds


def hide_memory() -> None:
    """Make this process's memory unreadable through ``/proc/PID/mem`` for others of the same user (Linux)."""
    if sys.platform == "linux":
        _prctl(_PR_SET_DUMPABLE, 0)


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends (Linux)."""
    if sys.platform == "linux":
        _prctl(_PR_SET_PDEATHSIG, _SIGKILL)


def can_refuse_system_calls() -> bool:
    """Whether ``refuse_system_calls`` works here: on Linux, on the architectures that its filter is written for."""
    return sys.platform == "linux" and platform.machine() in _ARCHITECTURES


def refuse_system_calls() -> bool:
    """Install the seccomp filter in this process and all its threads to come; there is no way back.

    Returns:
        True where it was installed, False where the system has none (not Linux, another architecture).

    Raises:
        LockdownError: the kernel has seccomp but refused the filter.
    """
    if not can_refuse_system_calls():
        return False
    program = _filter_program(platform.machine())
    buffer = ctypes.create_string_buffer(program, len(program))

    class SockFprog(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    fprog = SockFprog(len(program) // 8, ctypes.addressof(buffer))
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(fprog))
    return True


def _prctl(option: int, *arguments: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    padded = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    if libc.prctl(option, *padded) != 0:
        raise LockdownError(f"prctl({option}) was refused: {errno.errorcode.get(ctypes.get_errno(), '?')}")


def _refuse_commands(number: int, commands: tuple[int, ...], refuse: int) -> list[tuple[int, int, int, int]]:
    """Rows that refuse some commands, the second argument, of a system call and allow its others."""
    rows = [(_JUMP_EQUAL, 0, 2 + 2 * len(commands), number), (_LOAD, 0, 0, _OFFSET_SECOND)]
    for command in commands:
        rows += [(_JUMP_EQUAL, 0, 1, command), (_RETURN, 0, 0, refuse)]
    return [*rows, (_RETURN, 0, 0, _ALLOW)]


def _filter_program(machine: str) -> bytes:
    """The classic BPF program (struct sock_filter[]) for one architecture."""
    column, arch = _ARCHITECTURES[machine]
    refuse = _ERRNO | errno.EPERM
    rows = [
        (_LOAD, 0, 0, _OFFSET_ARCH),
        (_JUMP_EQUAL, 1, 0, arch),
        (_RETURN, 0, 0, _KILL_PROCESS),
        (_LOAD, 0, 0, _OFFSET_NUMBER),
    ]
    if machine == "x86_64":  # the x32 calls are the same ones under other numbers
        rows += [(_JUMP_GREATER_EQUAL, 0, 1, 0x40000000), (_RETURN, 0, 0, refuse)]
    rows += [(_JUMP_GREATER_EQUAL, 0, 1, _FIRST_UNKNOWN), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]
    # Without clone3 the C library falls back to clone, whose flags a filter can read.
    rows += [(_JUMP_EQUAL, 0, 1, _CLONE3[column]), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]
    for numbers in _REFUSED.values():
        number = numbers[column]
        if number is not None:
            rows += [(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, refuse)]
    rows += [
        (_JUMP_EQUAL, 0, 8, _PRLIMIT[column]),
        (_LOAD, 0, 0, _OFFSET_FIRST_ARGUMENT),
        (_JUMP_EQUAL, 0, 5, 0),  # its own limits, and not another process's
        (_LOAD, 0, 0, _OFFSET_THIRD),
        (_JUMP_EQUAL, 0, 3, 0),  # to read and not to set: both halves of the pointer are 0
        (_LOAD, 0, 0, _OFFSET_THIRD + 4),
        (_JUMP_EQUAL, 0, 1, 0),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, refuse),
        *_refuse_commands(_FCNTL[column], (_F_SETOWN, _F_SETSIG, _F_SETOWN_EX), refuse),
        *_refuse_commands(_IOCTL[column], (_FIOSETOWN, _SIOCSPGRP), refuse),
        (_JUMP_EQUAL, 0, 3, _CLONE[column]),
        (_LOAD, 0, 0, _OFFSET_FIRST_ARGUMENT),
        (_JUMP_BITS, 1, 0, _CLONE_THREAD),  # a new thread is welcome, a new process is not
        (_RETURN, 0, 0, refuse),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("<HBBI", *row) for row in rows)
