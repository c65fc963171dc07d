"""The warm parent, without one: what ends it."""

from __future__ import annotations

import select
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from grader.batch import warm


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
