"""What tests need that this machine may not have: skipped with the reason, never silently. And who runs how wide."""

import os
import signal
from pathlib import Path

import pytest
import torch

from grader.lab.data import DATA_DIR, DATA_DIR_VARIABLE

ROOT = Path(__file__).resolve().parent.parent


def _missing_cifar10() -> str | None:
    folder = Path(os.environ.get(DATA_DIR_VARIABLE) or DATA_DIR)
    if (folder / "cifar10" / "test.npz").is_file() or (folder / "cifar-10-batches-py").is_dir():
        return None
    return f"CIFAR-10 is not in {folder}; name a data directory that has it with {DATA_DIR_VARIABLE}"


def pytest_configure() -> None:
    # A job that a script sent to the background ignores Ctrl-C, and so would all that the tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Set by pytest-xdist in each of its processes: they share the processors, or their threads wait for each other.
    if processes := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
        torch.set_num_threads(max(1, torch.get_num_threads() // int(processes)))


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    if item.get_closest_marker("cifar10") and (reason := _missing_cifar10()):
        pytest.skip(reason)


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the checkout."""
    return ROOT
