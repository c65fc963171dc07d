"""Where units run: on this machine, or on a Dask ``distributed`` cluster. Both run the same ``unit.run_unit``.

An engine promises nothing about durability: it may be killed with everything in it. That is the ledger's job.

On a cluster the workers must see the same grader (the same files, importable; each unit checks their hash) and have
bubblewrap. The spec travels to them with every unit, a hidden one too, and Dask itself moves data as pickles: the
cluster's machines and network are trusted. Student code never runs in a worker process.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from grader.batch import warm
from grader.batch.unit import Result, run_unit

CONNECT_SECONDS = 30


class EngineError(Exception):
    """The engine cannot start, or is gone; the message says why."""


class Engine(Protocol):
    """Runs units; ``slots`` of them should be in its hands at any time."""

    @property
    def slots(self) -> int: ...

    def prepare(self, text: str) -> Result:
        """Make, wherever units will run, what all of them need. Raises EngineError."""
        ...

    def submit(self, text: str) -> Future[str]:
        """Run a unit; the future gives its result's text. Raises EngineError."""
        ...

    def gone(self) -> str | None:
        """Why nothing more will come, or None while all is well."""
        ...

    def close(self) -> None:
        """End everything that still runs."""
        ...


class LocalEngine:
    """Units on this machine, each in a fork of one warm parent; a thread here waits for each."""

    def __init__(self, jobs: int, scratch: Path, *, pictures: bool = True) -> None:
        self.slots = jobs
        self._scratch = str(scratch)
        self._threads = ThreadPoolExecutor(jobs, thread_name_prefix="unit")
        warm.start_early(jobs, pictures=pictures)

    def prepare(self, text: str) -> Result:
        return Result.from_text(run_unit(text, self._scratch))

    def submit(self, text: str) -> Future[str]:
        return self._threads.submit(run_unit, text, self._scratch)

    def gone(self) -> None:
        return None

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        warm.stop()
        self._threads.shutdown()


class DaskEngine:
    """Units on the workers of a Dask scheduler.

    Raises:
        EngineError: ``distributed`` is not installed, or no scheduler or worker answers.
    """

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise EngineError("Dask is not installed: pip install -e '.[class]'") from None
        try:
            self._client: Any = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
            self._client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except (OSError, ValueError, TimeoutError) as error:
            raise EngineError(f"no Dask scheduler with a worker at {address}: {error}") from error
        self._executor = self._client.get_executor(pure=False)
        self._address = address

    @property
    def slots(self) -> int:
        """Twice what runs at once, so that no worker waits for the next unit."""
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        return max(1, 2 * sum(worker["nthreads"] for worker in workers))

    def prepare(self, text: str) -> Result:
        addresses = list(self._client.scheduler_info(n_workers=-1)["workers"])
        futures = [self._client.submit(run_unit, text, workers=[a], pure=False) for a in addresses]
        try:
            results = [Result.from_text(result) for result in self._client.gather(futures)]
        except Exception as error:
            raise EngineError(f"a worker cannot run the grader: {type(error).__name__}: {error}") from error
        return next((result for result in results if result.error), Result())

    def submit(self, text: str) -> Future[str]:
        try:
            future: Future[str] = self._executor.submit(run_unit, text)
        except Exception as error:
            raise EngineError(self.gone() or f"{type(error).__name__}: {error}") from error
        return future

    def gone(self) -> str | None:
        if self._client.status == "running":
            return None
        return f"the Dask scheduler at {self._address} is gone (the client is {self._client.status})"

    def close(self) -> None:
        self._executor.shutdown(wait=False)
        self._client.close(timeout=5)
