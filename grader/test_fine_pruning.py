"""Fine-Pruning, one test a check."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from grader.conftest import settle
from grader.contract import FINE_PRUNING

if TYPE_CHECKING:
    from grader.grading import Grading


@pytest.mark.parametrize("check_id", [check.id for check in FINE_PRUNING.checks])
def test_check(grading: Grading, check_id: str) -> None:
    settle(grading.outcome(check_id))
