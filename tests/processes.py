"""Which processes a process has started, as ``/proc`` tells it."""

from __future__ import annotations

from pathlib import Path


def descendants(pid: int) -> list[int]:
    """The process and everything below it; what ends meanwhile may be missing."""
    found = [pid]
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = tasks.read_text().split()
        except OSError:  # it ended between two looks
            continue
        for child in children:
            found += descendants(int(child))
    return found
