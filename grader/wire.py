"""Frames between the parent and the step server: a JSON header and dense arrays, read strictly.

A frame is ``MAGIC``, the header's and the payload's lengths (little-endian uint32), the header (UTF-8 JSON) and the
arrays as raw little-endian bytes, one behind the other. After ``MAGIC_SHARED`` the arrays do not follow: they lie in
memory that both sides share (``shared_memory.py``). The parent reads what an untrusted process wrote, so every size is
capped *before* anything is allocated or parsed, and whatever is not exactly a frame raises ``WireError``.

This module runs on both sides; it needs NumPy and nothing else.
"""

from __future__ import annotations

import json
import math
import select
import socket
import struct
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from grader.shared_memory import CAPACITY, SharedMemory

MAGIC = b"BDL1"
MAGIC_SHARED = b"BDL2"
PREFIX = struct.Struct("<4sII")
MAX_HEADER = 64 * 1024
MAX_PAYLOAD = 64 * 1024 * 1024
MAX_ARRAYS = 128
MAX_DIMENSIONS = 8
DTYPES = {
    name: np.dtype(name).newbyteorder("<")
    for name in ("float32", "float64", "int64", "int32", "uint8", "bool")
}


class WireError(Exception):
    """What came is not a frame: cut short, too large, malformed, or for another question."""


class Timeout(Exception):
    """Nothing complete came before the deadline."""


@dataclass(frozen=True)
class Frame:
    """One message.

    Attributes:
        kind: what is asked or answered, e.g. ``"call"``.
        body: JSON values; an array is named in it by its index.
        arrays: C-contiguous arrays of one of ``DTYPES``.
        nonce: the question's number; an answer repeats it.
    """

    kind: str
    body: dict[str, Any] = field(default_factory=dict)
    arrays: tuple[np.ndarray, ...] = ()
    nonce: str = ""


def encode(frame: Frame) -> list[bytes | memoryview]:
    """The frame as buffers to be written one after the other (arrays are not copied).

    Raises:
        WireError: it is larger than a reader accepts, or an array has a dtype that does not travel.
    """
    arrays = [np.ascontiguousarray(a).reshape(a.shape) for a in frame.arrays]
    for array in arrays:
        if array.dtype.name not in DTYPES:
            raise WireError(f"arrays of {array.dtype.name} do not travel; only {', '.join(DTYPES)} do")
    described = [{"dtype": a.dtype.name, "shape": list(a.shape)} for a in arrays]
    header = json.dumps(
        {"nonce": frame.nonce, "kind": frame.kind, "body": frame.body, "arrays": described}, allow_nan=False
    ).encode()
    payload = sum(a.nbytes for a in arrays)
    if len(header) > MAX_HEADER or payload > MAX_PAYLOAD or len(arrays) > MAX_ARRAYS:
        raise WireError(
            f"frame too large: header {len(header)} B, {len(arrays)} arrays of {payload} B together"
        )
    buffers: list[bytes | memoryview] = [PREFIX.pack(MAGIC, len(header), payload) + header]
    buffers += [a.reshape(-1).data.cast("B") for a in arrays if a.nbytes]
    return buffers


def sizes(prefix: bytes) -> tuple[int, int]:
    """Header and payload length from the first bytes of a frame.

    Raises:
        WireError: not a frame's beginning, or larger than allowed.
    """
    if len(prefix) != PREFIX.size:
        raise WireError(f"a frame begins with {PREFIX.size} bytes, not {len(prefix)}")
    magic, header, payload = PREFIX.unpack(prefix)
    if magic != MAGIC:
        raise WireError("what came does not begin like a frame")
    if header > MAX_HEADER or payload > MAX_PAYLOAD:
        raise WireError(f"frame too large: header {header} B, payload {payload} B")
    return header, payload


def decode(header: bytes, payload: bytearray | np.ndarray) -> Frame:
    """Build the frame from its two parts. The arrays are writable views of ``payload``.

    Raises:
        WireError: anything but exactly the agreed form.
    """
    data = strict_json(header)
    if not isinstance(data, dict) or set(data) != {"nonce", "kind", "body", "arrays"}:
        raise WireError("a header has exactly nonce, kind, body and arrays")
    nonce, kind, body, described = data["nonce"], data["kind"], data["body"], data["arrays"]
    if not (isinstance(nonce, str) and isinstance(kind, str) and isinstance(body, dict)):
        raise WireError("nonce and kind are texts, body is an object")
    if not isinstance(described, list) or len(described) > MAX_ARRAYS:
        raise WireError(f"arrays is a list of at most {MAX_ARRAYS}")
    arrays, offset = [], 0
    for item in described:
        dtype, shape = _array_form(item)
        count = math.prod(shape)
        end = offset + count * dtype.itemsize
        if end > len(payload):
            raise WireError("the arrays are larger than the payload")
        array = np.frombuffer(payload, dtype, count, offset).reshape(shape)
        if dtype == np.bool_ and count and array.view(np.uint8).max() > 1:
            raise WireError("a truth value is 0 or 1")
        arrays.append(array)
        offset = end
    if offset != len(payload):
        raise WireError(f"{len(payload) - offset} bytes of the payload belong to no array")
    return Frame(kind, body, tuple(arrays), nonce)


def _array_form(item: object) -> tuple[np.dtype[Any], tuple[int, ...]]:
    if not isinstance(item, dict) or set(item) != {"dtype", "shape"}:
        raise WireError("an array has exactly dtype and shape")
    shape = item["shape"]
    if not isinstance(item["dtype"], str) or item["dtype"] not in DTYPES:
        raise WireError(f"dtype {str(item['dtype'])[:40]!r} does not travel")
    if not isinstance(shape, list) or len(shape) > MAX_DIMENSIONS:
        raise WireError(f"a shape is a list of at most {MAX_DIMENSIONS} sizes")
    if not all(type(n) is int and 0 <= n <= MAX_PAYLOAD for n in shape):
        raise WireError("a size is a whole number, not negative, within the payload's limit")
    if math.prod(n for n in shape if n) > MAX_PAYLOAD:  # an empty array can have such a shape, and NumPy none
        raise WireError("the sizes of a shape are too large together")
    return DTYPES[item["dtype"]], tuple(shape)


def strict_json(text: bytes) -> Any:
    """JSON without the things that hide surprises: duplicate keys, NaN and Infinity, bad UTF-8, bottomless nesting.

    Raises:
        WireError: the text is not such JSON.
    """

    def no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        data = dict(pairs)
        if len(data) != len(pairs):
            raise WireError("an object has the same key twice")
        return data

    def no_constant(name: str) -> Any:
        raise WireError(f"{name} is not JSON")

    try:
        return json.loads(text.decode("utf-8"), object_pairs_hook=no_duplicates, parse_constant=no_constant)
    except (ValueError, RecursionError) as error:
        raise WireError(f"not JSON: {type(error).__name__}") from error


class Channel:
    """Sends and receives frames on a connected stream socket.

    A deadline is a ``time.monotonic()`` value; None waits for ever (the child's side).

    Args:
        memory: where arrays travel that fit into it; without it they go through the socket.
    """

    def __init__(self, sock: socket.socket, memory: SharedMemory | None = None) -> None:
        self._socket = sock
        self._memory = memory
        sock.setblocking(False)

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def send(self, frame: Frame, deadline: float | None = None) -> None:
        """Write a whole frame.

        Raises:
            Timeout: the other side did not take it in time.
            WireError: the frame may not travel, or the other side is gone.
        """
        buffers = encode(frame)
        if self._memory is not None and 0 < sum(len(b) for b in buffers[1:]) <= CAPACITY:
            self._memory.write(buffers[1:])
            buffers = [MAGIC_SHARED + bytes(buffers[0][len(MAGIC) :])]
        for buffer in buffers:
            view = memoryview(buffer)
            while view:
                try:
                    view = view[self._socket.send(view) :]
                except BlockingIOError:
                    self._wait(select.POLLOUT, deadline)
                except OSError as error:
                    raise WireError(f"the other side is gone ({error.strerror})") from error

    def receive(self, deadline: float | None = None) -> Frame:
        """Read a whole frame.

        Raises:
            Timeout: it was not complete in time.
            WireError: it is not a frame, or the other side is gone.
        """
        prefix = self._read(PREFIX.size, deadline).tobytes()
        if self._memory is None or not prefix.startswith(MAGIC_SHARED):
            header, payload = sizes(prefix)
            return decode(self._read(header, deadline).tobytes(), self._read(payload, deadline))
        header, payload = sizes(MAGIC + prefix[len(MAGIC_SHARED) :])
        if payload > CAPACITY:
            raise WireError(f"{payload} B do not fit into the shared memory")
        return decode(self._read(header, deadline).tobytes(), self._memory.read(payload))

    def await_data(self, deadline: float) -> bool:
        """Whether anything came before the deadline (or the other side went away)."""
        try:
            self._wait(select.POLLIN, deadline)
        except Timeout:
            return False
        return True

    def _read(self, count: int, deadline: float | None) -> np.ndarray:
        data = np.empty(count, np.uint8)  # not a bytearray, which would be filled with zeros first
        view = data.data
        while view:
            try:
                got = self._socket.recv_into(view)
            except BlockingIOError:
                self._wait(select.POLLIN, deadline)
                continue
            except OSError as error:
                raise WireError(f"the other side is gone ({error.strerror})") from error
            if got == 0:
                raise WireError("the other side is gone")
            view = view[got:]
        return data

    def _wait(self, event: int, deadline: float | None) -> None:
        poll = select.poll()
        poll.register(self._socket, event)
        while True:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise Timeout
            if poll.poll(None if left is None else math.ceil(left * 1000)):
                return
