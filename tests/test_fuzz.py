"""The short version of ``python -m tests.fuzz`` (zips are among the tests of the batch)."""

import pytest
import torch

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
