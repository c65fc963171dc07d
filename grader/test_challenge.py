"""The leaderboard entry of ``challenge.toml``: skipped unless you take part, and never a reason to fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from grader import messages
from grader.exports.escaping import log_safe

if TYPE_CHECKING:
    from grader.grading import Grading


def test_entry(grading: Grading) -> None:
    result = grading.challenge()
    if result is None:
        pytest.skip(messages.challenge("none", {}, grading.language))
    if result.status != "ranked":
        pytest.skip(log_safe(result.text))
