"""Does a grading agree with what the corpus knows about the submission?"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from grader.contract import part
from grader.outcome import Outcome, Reason, Status
from tests.corpus import Hostile, Item, Mutant


def violations(item: Item, checks: Sequence[Outcome], review: Sequence[str] = ()) -> list[str]:
    """How a grading disagrees with the item's label; empty where it agrees.

    Args:
        checks: the outcomes, of all checks or of some (``caught_by`` and ``keeps`` are asked for among these only).
        review: the report's reasons for a person to look at it.
    """
    found = [f"{c.id}: grader error: {c.got}" for c in checks if c.status is Status.ERROR]
    for outcome in checks:
        problem = _problem(item, outcome)
        if problem is not None and outcome.status is not Status.ERROR:
            found.append(f"{outcome.id}: {outcome.status} ({outcome.finding}: {outcome.got}), but {problem}")
    if isinstance(item, Hostile):
        points = sum(c.points for c in checks)
        if points > item.gains_at_most:
            found.append(f"{points} points, more than the {item.gains_at_most} without the attack")
        if item.flagged is not None and item.flagged != bool(review):
            found.append(f"flagged for review: {list(review)}, but flagged should be {item.flagged}")
    elif review:
        found.append(f"flagged for review without a reason: {list(review)}")
    return found


def _problem(item: Item, outcome: Outcome) -> str | None:
    passed = outcome.status is Status.PASSED
    if outcome.reason is Reason.RESOURCE_ABSENT:  # of this machine, and nothing about the submission
        return None
    if isinstance(item, Hostile):
        if outcome.id in item.loses:
            return "it must not pass" if passed else None
        return "it must pass in spite of the attack" if outcome.id in item.keeps and not passed else None
    if isinstance(item, Mutant):
        if outcome.id == item.caught_by:
            if outcome.status is not Status.FAILED:
                return "it must fail: it is the check that names this fault"
            if item.finding is not None and outcome.finding != item.finding:
                return f"its finding should be {item.finding}"
            return None
        if outcome.id in item.may_fall:
            return None
        if outcome.reason is Reason.DEPENDENCY_FAILED and outcome.id in dependents(item):
            return None
        return None if passed else "it should pass: the fault is not its own"
    return None if passed else "everything passes in a correct submission"


@cache
def dependents(mutant: Mutant) -> frozenset[str]:
    """Ids of the checks that require, directly or not, a check that sees the mutant's fault."""
    fallen = {mutant.caught_by, *mutant.may_fall}
    for check in part(mutant.part).checks:  # a check comes after what it requires
        if fallen.intersection(check.requires):
            fallen.add(check.id)
    return frozenset(fallen - {mutant.caught_by})
