"""Part 2, one test a check: ``pytest grader/ -k choose_bases`` runs those of one function.

Checks on CIFAR-10 carry the marker ``cifar10``; they run where its images and the ResNet-18 are, and give no points.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from grader.conftest import settle
from grader.contract import CLEAN_LABEL

if TYPE_CHECKING:
    from grader.grading import Grading

CHECKS = [
    pytest.param(check.id, marks=pytest.mark.cifar10 if "cifar10" in check.id else ())
    for check in CLEAN_LABEL.checks
]


@pytest.mark.parametrize("check_id", CHECKS)
def test_check(grading: Grading, check_id: str) -> None:
    settle(grading.outcome(check_id))
