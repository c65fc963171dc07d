"""The short version of ``python -m tests.fuzz`` (zips are among the tests of the batch)."""

import pytest

from tests.fuzz import answers, frames, specs


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("fuzzer", "inputs"), [(frames, 2000), (specs, 150), (answers, 300)])
def test_odd_inputs_end_in_the_errors_that_are_defined(fuzzer, inputs: int) -> None:
    ended = fuzzer.fuzz(inputs, seed=1)
    assert sum(ended.values()) == inputs
    assert len(ended) > 5
