"""What a check gets to work with: the student's functions, the spec, and fresh randomness."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from grader.calls import Finding
from grader.spec import Spec
from grader.student import StudentModule

Progress = Callable[[str, int, int], None]  # (what is running, steps done, steps in all)


class ResourceAbsent(Exception):
    """Something that only some machines have is not here: the check is skipped, and its text names ``resource``."""

    def __init__(self, resource: str) -> None:
        super().__init__(resource)
        self.resource = resource


@dataclass
class PartRun:
    """One part of one submission while it is graded.

    Attributes:
        entropy: seeds the checks' inputs; a check's generator depends on it and on the check's id alone, so a check
            sees the same inputs whichever other checks run.
        metrics: numbers for the report, filled by the checks.
        review: reasons for a person to look at this submission: (key of ``messages/``, values).
        tables: name -> rows of numbers by column, e.g. one row a target.
        pictures: name -> file name in ``pictures_directory``, of what the report shows; file names are the
            submission's, so a bonus part's begin with its own name. The texts of all three: ``[built.PART]`` in
            ``messages/``.
        memo: values that several checks need; see ``once``.
        prepared: what is being read while the child starts.
    """

    spec: Spec
    student: StudentModule
    entropy: int
    progress: Progress | None = None
    pictures_directory: Path | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    review: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    tables: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    pictures: dict[str, str] = field(default_factory=dict)
    memo: dict[str, Any] = field(default_factory=dict)
    prepared: dict[str, Future[Any]] = field(default_factory=dict)

    def rng(self, check_id: str) -> np.random.Generator:
        return np.random.default_rng([self.entropy, *check_id.encode()])

    def once(self, name: str, compute: Callable[[], Any]) -> Any:
        """The value of ``compute``, computed once a run; a Finding or ResourceAbsent of it is raised again."""
        if name not in self.memo:
            try:
                self.memo[name] = compute()
            except (Finding, ResourceAbsent) as finding:
                self.memo[name] = finding
        if isinstance(self.memo[name], Finding | ResourceAbsent):
            raise self.memo[name]
        return self.memo[name]


CheckFunction = Callable[[PartRun, np.random.Generator], Mapping[str, Any] | None]
"""Judges one property: raises Finding where it does not hold; returns values for the texts of a passed check."""


def close(found: np.ndarray | float, expected: np.ndarray | float, *, tolerance: float = 1e-4) -> bool:
    """Equal to rounding: within ``tolerance`` of the expected array's largest entry. NaN is never close."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    if found.shape != expected.shape:
        return False
    scale = max(float(np.abs(expected).max(initial=0.0)), 1e-6)
    return bool((np.abs(found - expected) <= tolerance * scale).all())


def require_close(
    found: np.ndarray,
    expected: np.ndarray,
    alternatives: Mapping[str, np.ndarray],
    /,
    *,
    tolerance: float = 1e-4,
    **values: Any,
) -> None:
    """Pass where ``found`` is as expected, else raise the finding of the mistake that explains it.

    Args:
        alternatives: finding key -> what the usual mistake of that name would have given.
        values: for the finding's text, beside ``max_difference``.
    """
    if close(found, expected, tolerance=tolerance):
        return
    difference = float(np.abs(np.asarray(found, np.float64) - expected).max())
    for key, wrong in alternatives.items():
        # a mistake that happens to give the right answer on these inputs explains nothing
        if close(found, wrong, tolerance=tolerance) and not close(wrong, expected, tolerance=tolerance):
            raise Finding(key, max_difference=difference, **values)
    raise Finding("differs", max_difference=difference, **values)


def require_value_error(call: Callable[[], object], **values: Any) -> None:
    """Pass where the student's function refused its arguments with a ValueError.

    Raises:
        Finding: ``accepted``, with ``values``, where it returned; ``other_exception`` where it raised another one.
    """
    try:
        call()
    except Finding as finding:
        if finding.key != "exception":
            raise
        if not finding.values["is_value_error"]:
            raise Finding("other_exception", type=finding.values["type"], line=finding.line) from None
        return
    raise Finding("accepted", **values)
