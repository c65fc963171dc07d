"""The frame reader: whatever bytes come over the socket, a frame or a ``WireError``, and nothing else."""

from __future__ import annotations

import json
import os
import random
import re
import socket
import time
from collections import Counter
from typing import Any

import numpy as np

from grader.shared_memory import SharedMemory, new_descriptor
from grader.wire import (
    MAGIC,
    MAGIC_SHARED,
    MAX_HEADER,
    MAX_PAYLOAD,
    PREFIX,
    Channel,
    Frame,
    Timeout,
    WireError,
    encode,
)

_DTYPES = ("float32", "float64", "int64", "uint8", "bool", "object", "float16", "<f4", "V8", "", "O", 3, None)
_SIZES = (0, 1, 2, 3, 7, -1, 2**16, MAX_PAYLOAD, MAX_PAYLOAD + 1, 2**31, 2**63, 10**30, 1.0, True, None, "1")
_RAW = (
    *(b"null", b"NaN", b"-Infinity", b"1e999", b"[" * 3000, b'{"a":' * 3000, b"9" * 5000, b'"\\ud800"'),
    *(b"\xef\xbb\xbf{}", b"\xff", b"\0", b'{"nonce":"","nonce":""}', b"{}{}", b"//", b"'", b"1_0", b"{}\n"),
)


def odd_value(rng: random.Random, depth: int = 0) -> Any:
    """A JSON value of any kind."""
    kind = rng.randrange(9 if depth < 4 else 7)
    if kind < 6:
        return (None, True, rng.choice(_SIZES), rng.uniform(-1e308, 1e308), "x" * rng.choice((0, 1, 3000)),
                rng.choice(("float32", "\ud800", "\x1b[2J", "nonce")))[kind]  # fmt: skip
    if kind == 6:
        return {}
    if kind == 7:
        return [odd_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {
        rng.choice(("a", "dtype", "shape", "", "body")): odd_value(rng, depth + 1)
        for _ in range(rng.randrange(4))
    }


def _header(rng: random.Random) -> bytes:
    if rng.random() < 0.1:
        return rng.choice(_RAW)
    arrays: Any = [
        {"dtype": rng.choice(_DTYPES), "shape": [rng.choice(_SIZES) for _ in range(rng.randrange(10))]}
        for _ in range(rng.choice((0, 1, 1, 2, 130)))
    ]
    header: dict[str, Any] = {"nonce": "n", "kind": "returned", "body": {}, "arrays": arrays}
    for _ in range(rng.randrange(3)):
        header[rng.choice(("nonce", "kind", "body", "arrays", "more"))] = odd_value(rng)
    if rng.random() < 0.1:
        del header[rng.choice(list(header))]
    return json.dumps(header).encode("utf-8", "surrogatepass")


def message(rng: random.Random) -> bytes:
    """Bytes that may look like a frame: a right one, one with an odd header, damaged more often than not.

    Every second says that its arrays lie in shared memory.
    """
    if rng.random() < 0.4:
        array = np.zeros(
            [rng.randrange(4) for _ in range(rng.randrange(4))], rng.choice(("float32", "int64"))
        )
        frame = Frame("returned", {"result": {"tensor": 0}}, (array,), "n")
        data = bytearray(b"".join(bytes(part) for part in encode(frame)))
    else:
        header, payload = _header(rng), rng.randbytes(rng.choice((0, 0, 4, 8, 64)))
        sizes = (
            (len(header), len(payload))
            if rng.random() < 0.9
            else (rng.choice((0, 5, MAX_HEADER, 2**32 - 1)), rng.choice((0, 9, MAX_PAYLOAD, 2**32 - 1)))
        )
        data = bytearray(PREFIX.pack(MAGIC, *sizes) + header + payload)
    if rng.random() < 0.5:
        data[: len(MAGIC)] = MAGIC_SHARED
    for _ in range(rng.choice((0, 0, 1, 2, 10))):
        data[rng.randrange(len(data))] = rng.randrange(256)
    if rng.random() < 0.2:
        del data[rng.randrange(len(data)) :]
    return bytes(data) if rng.random() > 0.02 else rng.randbytes(rng.randrange(200))


def fuzz(inputs: int, seed: int) -> Counter[str]:
    """Send so many messages through a socket to the reader; counts by how they ended.

    Raises:
        AssertionError: the reader waited for more than the other side's end.
        Exception: whatever else the reader raised, which is what this looks for.
    """
    rng = random.Random(seed)
    ended: Counter[str] = Counter()
    descriptor = new_descriptor()
    memory = None if descriptor is None else SharedMemory(descriptor, is_parent=True)
    for _ in range(inputs):
        ours, theirs = socket.socketpair()
        channel = Channel(ours, memory)
        try:
            with theirs:
                theirs.sendall(message(rng))
            frame = channel.receive(time.monotonic() + 60)
        except WireError as error:
            said = re.sub(r"'.*'", "...", str(error), flags=re.DOTALL)  # what was in it is another each time
            ended[said.split(":")[0].split("(")[0].strip().lstrip("0123456789 ")] += 1
        except Timeout:
            raise AssertionError("the reader waits for an end that has come") from None
        else:
            assert all(array.dtype.hasobject is False for array in frame.arrays)
            ended["read"] += 1
        finally:
            channel.close()
    if descriptor is not None:
        os.close(descriptor)
    return ended
