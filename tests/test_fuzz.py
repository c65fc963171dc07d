"""The short version of ``python -m tests.fuzz`` (zips are among the tests of the batch)."""

import time
from pathlib import Path

import pytest
import torch

from grader.contract import PARTS
from grader.submission import Source
from tests.fuzz import answers, frames, specs


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("fuzzer", "inputs"), [(frames, 2000), (specs, 150), (answers, 150)])
def test_odd_inputs_end_in_the_errors_that_are_defined(fuzzer, inputs: int) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # small arrays gain nothing from a second one
    try:
        ended = fuzzer.fuzz(inputs, seed=1)
    finally:
        torch.set_num_threads(threads)
    assert sum(ended.values()) == inputs
    assert len(ended) > 5


@pytest.mark.parametrize(
    "text",
    [
        "\n" * 250_000 + "x",
        " " * 250_000 + "x",
        "\t\n" * 120_000 + "x",
        "async " + " " * 250_000,
        "  raise NotImplementedError(\n" * 8000,
        "  raise NotImplementedError(" + "\n" * 200_000,
        "  raise NotImplementedError('TODO(a)')\n" * 6000,
    ],
)
def test_searching_a_file_takes_no_longer_than_it_is_long(text: str) -> None:
    source = Source(Path("invisible_trigger.py"), text.encode())
    started = time.process_time()
    assert source.stubs.keys() <= {"a"}
    assert source.line_of("apply_trigger") is None
    assert not source.is_untouched(PARTS[0])
    assert time.process_time() - started < 3
