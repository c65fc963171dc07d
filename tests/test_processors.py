"""Who runs where in a training step, and that nothing of it stays behind."""

import contextlib
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from grader import processors

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux binds threads to processors")


def test_the_parent_leaves_the_first_processor_and_comes_back() -> None:
    mine = os.sched_getaffinity(0)
    with contextlib.suppress(KeyError), processors.beside_a_child(len(mine), own=1):
        inside = os.sched_getaffinity(0)
        raise KeyError
    assert inside == ({max(mine)} if len(mine) > 1 else mine)
    assert os.sched_getaffinity(0) == mine


def test_with_processors_to_spare_it_stays_where_it_is() -> None:
    mine = os.sched_getaffinity(0)
    for threads, own in ((1, 1), (len(mine) + 1, 1), (len(mine), 2)):
        with processors.beside_a_child(threads, own=own):
            assert os.sched_getaffinity(0) == mine


def test_a_thread_started_beside_a_child_may_run_anywhere() -> None:
    mine = processors.available()
    with (
        processors.beside_a_child(len(mine), own=1),
        ThreadPoolExecutor(1, initializer=processors.run_on, initargs=(mine,)) as pool,
    ):
        assert pool.submit(processors.available).result() == mine


def test_a_place_that_is_gone_costs_no_grade() -> None:
    mine = os.sched_getaffinity(0)
    processors.run_on({4095})
    assert os.sched_getaffinity(0) == mine
