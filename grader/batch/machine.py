"""What this machine has for a class: cores, memory, and how many grades at a time that is good for."""

from __future__ import annotations

import os
from pathlib import Path

from grader.processors import available

JOB_MEMORY = 3 * 2**29
"""Bytes of one grade with its sandbox and everything shared, at its peak: 1.4 GiB with all parts and their pictures."""
_CGROUP = Path("/sys/fs/cgroup")


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(available()) or os.cpu_count() or 1


def usable_memory(meminfo: Path = Path("/proc/meminfo"), cgroup: Path = _CGROUP) -> int | None:
    """Bytes that are free, on the machine or within a container's limit; None where the system does not say."""
    try:
        lines = meminfo.read_text().splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return None
    try:
        limit, used = ((cgroup / name).read_text().strip() for name in ("memory.max", "memory.current"))
        return min(free, int(limit) - int(used) + _cached(cgroup))
    except (OSError, ValueError):  # no such limit, or "max"
        return free


def _cached(cgroup: Path) -> int:
    """Bytes of a container's usage that the kernel gives back when they are wanted: what it has read of files."""
    statistics = dict(line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
    return int(statistics["inactive_file"])


def usable_jobs() -> int:
    """Grades at a time: as many as cores, unless memory is for fewer; the kernel would kill what is too much."""
    memory = usable_memory()
    cores = usable_cores()
    return cores if memory is None else max(1, min(cores, memory // JOB_MEMORY))
