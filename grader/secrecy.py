"""What a report may tell under a hidden spec: nothing that depends on what is in it, but for passed or not.

The student's code sees the target, epsilon and the batches, and it writes everything that a report could repeat: an
exception's text, a type's name, a shape, a returned number, the line where it raised, how long it took. Each of these
could carry the target out. So nothing that comes from the child is repeated, and no number that was measured.

Not covered: which checks pass, and which of the named causes a failed one has. A submission can choose them by what
it sees, at the price of the points; ``rationale_only`` in the spec closes the second way.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from grader import messages

# What the grader itself knows without asking the child: of the submission's files, of the contract, of this machine.
_OWN_VALUES = frozenset({"function", "file", "limit", "checks", "todo", "resource"})
# Findings that the grader makes of the files alone, or that concern itself.
_OWN_FINDINGS = frozenset(
    {
        *("missing_file", "empty_file", "too_large", "not_regular", "not_utf8", "not_implemented"),
        *("grader_error", "dependency_failed", "not_attempted", "resource_absent"),
    }
)


def told(check_id: str, finding: str | None, rationale_only: tuple[str, ...]) -> str | None:
    """The finding that may be told in place of this one: itself, a form without its values, or only that it failed."""
    if finding is None:
        return None
    if finding not in _OWN_FINDINGS and any(fnmatchcase(check_id, pattern) for pattern in rationale_only):
        return "withheld"
    if messages.values_named(check_id, finding) <= _OWN_VALUES:
        return finding
    return next(key for key in (f"{finding}_withheld", "withheld") if messages.is_finding(key))


def own_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those values that may be told."""
    return {name: value for name, value in values.items() if name in _OWN_VALUES}
