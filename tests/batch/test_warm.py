"""The processes of grades, without any: what ends the warm parent, and what is told of a grade that said nothing."""

from __future__ import annotations

import select
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from grader.batch import unit, warm
from grader.batch.ledger import grader_hash
from grader.batch.unit import Result, Settings, unit_text


@pytest.mark.skipif(sys.platform != "linux", reason="the warm parent forks on Linux only")
@pytest.mark.parametrize("moment", ["importing", "ready", "failed"])
def test_a_warm_parent_that_nobody_asks_any_more_ends_in_silence(monkeypatch, moment: str):
    asking, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for name in ("_new_slot", "_preload", "_ready_to_fork"):
        monkeypatch.setattr(warm, name, lambda *_: None)
    if moment == "failed":
        monkeypatch.setattr(warm, "_preload", lambda: 1 / 0)
    with ThreadPoolExecutor(1) as thread:
        if moment != "ready":
            asking.close()
        end = thread.submit(warm.serve, ours.detach(), 1, False)
        if moment == "ready":  # what it has sent is never read
            select.select([asking], [], [], 10)
            asking.close()
        assert end.result(timeout=30) is None


def test_a_grade_without_a_result_on_a_full_disk_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    settings = Settings("any", "en", "bubblewrap", grader_hash(), 60.0)

    def die(directory: Path, seconds: float) -> None: ...

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    def result() -> str:
        return str(Result.from_text(unit.run_unit(unit_text(settings, {}), str(tmp_path))).error)

    monkeypatch.setattr(unit, "run_in_fresh_process", die)
    assert result() == "the grading process died; its last words: none"
    write = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", lambda p, d: full(p, d) if p.name == "probe" else write(p, d))
    assert result().endswith(f"none; nothing can be written to {tmp_path}: No space left on device")
