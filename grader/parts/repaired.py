"""What both defences of part 3 are asked first: a network that was destroyed has no backdoor, and is no repair."""

from __future__ import annotations

from grader.calls import Finding
from grader.lab.metrics import accuracy_drop

LARGEST_FALL = 0.05
"""Of the ACC, unless the spec allows more; less than never saying the target would cost, which is a tenth."""


def require_working(before: float, after: float, allowed: float) -> None:
    """Pass where the ACC has not broken down.

    Args:
        allowed: the fall that the spec allows.

    Raises:
        Finding: ``broken``, with the ACC before and after.
    """
    if not accuracy_drop(before, after) <= max(LARGEST_FALL, allowed):
        raise Finding("broken", before=before, after=after)
