"""Part 2, one test a check: ``pytest grader/ -k choose_bases`` runs those of one function."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from grader.conftest import settle
from grader.contract import CLEAN_LABEL

if TYPE_CHECKING:
    from grader.grading import Grading


@pytest.mark.parametrize("check_id", [check.id for check in CLEAN_LABEL.checks])
def test_check(grading: Grading, check_id: str) -> None:
    settle(grading.outcome(check_id))
