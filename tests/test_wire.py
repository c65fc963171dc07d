"""Frames: what is written is read back, and whatever is not exactly a frame is refused."""

import contextlib
import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.shared_memory import CAPACITY, SharedMemory, new_descriptor
from grader.wire import (
    MAGIC_SHARED,
    MAX_HEADER,
    MAX_PAYLOAD,
    PREFIX,
    Channel,
    Frame,
    Timeout,
    WireError,
    decode,
    encode,
    sizes,
)


def _parts(frame: Frame) -> tuple[bytes, bytearray]:
    data = b"".join(bytes(b) for b in encode(frame))
    header, payload = sizes(data[: PREFIX.size])
    assert len(data) == PREFIX.size + header + payload
    return data[PREFIX.size : PREFIX.size + header], bytearray(data[PREFIX.size + header :])


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "bool"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 1, 4)])
def test_arrays_come_back_bit_for_bit(dtype: str, shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    frame = decode(*_parts(Frame("call", {"a": [1, {"b": None}]}, (array, array.T), "n1")))
    assert (frame.kind, frame.body, frame.nonce) == ("call", {"a": [1, {"b": None}]}, "n1")
    np.testing.assert_array_equal(frame.arrays[0], array)
    np.testing.assert_array_equal(frame.arrays[1], array.T)
    assert frame.arrays[0].dtype == dtype


def test_nan_travels_in_arrays_but_not_in_json() -> None:
    frame = decode(*_parts(Frame("x", {}, (np.array([np.nan, np.inf], np.float32),))))
    assert np.isnan(frame.arrays[0][0])
    assert np.isinf(frame.arrays[0][1])
    with pytest.raises(ValueError, match="JSON"):
        encode(Frame("x", {"loss": float("nan")}))


@pytest.mark.parametrize("dtype", ["float16", "complex64", "object", "int16"])
def test_other_dtypes_do_not_travel(dtype: str) -> None:
    with pytest.raises(WireError, match="do not travel"):
        encode(Frame("x", {}, (np.zeros(2, dtype),)))


def _header(**changes: object) -> bytes:
    header = {"nonce": "", "kind": "x", "body": {}, "arrays": [], **changes}
    return json.dumps(header).encode()


@pytest.mark.parametrize(
    ("header", "payload"),
    [
        (b"", b""),
        (b"null", b""),
        (b"[]", b""),
        (b"{}", b""),
        (b"\xff\xfe", b""),
        (b'{"nonce": "", "nonce": "", "kind": "x", "body": {}, "arrays": []}', b""),
        (b'{"nonce": "", "kind": "x", "body": {"a": NaN}, "arrays": []}', b""),
        (b"[" * 60_000, b""),
        (b'{"nonce": "", "kind": "x", "body": {"a": ' + b"9" * 5000 + b'}, "arrays": []}', b""),
        (_header(kind=3), b""),
        (_header(body=[]), b""),
        (_header(extra=1), b""),
        (_header(arrays={}), b""),
        (_header(arrays=[{"dtype": "float32", "shape": [2]}]), b"1234"),
        (_header(arrays=[{"dtype": "float32", "shape": [1]}]), b"12345678"),
        (_header(arrays=[{"dtype": "float32", "shape": [-1]}]), b""),
        (_header(arrays=[{"dtype": "float32", "shape": [True]}]), b"1234"),
        (_header(arrays=[{"dtype": "float32", "shape": [1.0]}]), b"1234"),
        (_header(arrays=[{"dtype": "object", "shape": [1]}]), b"12345678"),
        (_header(arrays=[{"dtype": ["float32"], "shape": [1]}]), b"1234"),
        (_header(arrays=[{"dtype": "uint8", "shape": [1] * 9}]), b"1"),
        (_header(arrays=[{"dtype": "uint8", "shape": [2**40]}]), b"1"),
        (_header(arrays=[{"dtype": "uint8", "shape": [0]}] * 1000), b""),
        (_header(arrays=[{"dtype": "uint8", "shape": [2**16, 2**26, 2**26, 0]}]), b""),
    ],
)
def test_what_is_not_a_frame_is_refused(header: bytes, payload: bytes) -> None:
    with pytest.raises(WireError):
        decode(header, bytearray(payload))


def test_sizes_are_capped_before_anything_is_read() -> None:
    with pytest.raises(WireError, match="too large"):
        sizes(PREFIX.pack(b"BDL1", MAX_HEADER + 1, 0))
    with pytest.raises(WireError, match="too large"):
        sizes(PREFIX.pack(b"BDL1", 10, MAX_PAYLOAD + 1))
    with pytest.raises(WireError, match="begin"):
        sizes(PREFIX.pack(b"HTTP", 10, 10))


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=1500, deadline=None)
@given(st.binary(max_size=200) | _json.map(lambda v: json.dumps(v).encode()), st.binary(max_size=64))
def test_random_headers_are_refused_and_nothing_else_happens(header: bytes, payload: bytes) -> None:
    with contextlib.suppress(WireError):
        decode(header, bytearray(payload))


@settings(max_examples=1500, deadline=None)
@given(st.integers(0, 400), st.integers(0, 255))
def test_a_frame_with_one_wrong_byte_is_read_or_refused(position: int, value: int) -> None:
    header, payload = _parts(
        Frame("returned", {"result": {"tensor": 0}}, (np.ones((2, 3), np.float32),), "abc")
    )
    data = bytearray(header)
    data[position % len(data)] = value
    with contextlib.suppress(WireError):
        decode(bytes(data), payload)


@pytest.fixture
def pair() -> tuple[Channel, socket.socket]:
    ours, theirs = socket.socketpair()
    return Channel(ours), theirs


def test_half_a_frame_and_silence_times_out(pair: tuple[Channel, socket.socket]) -> None:
    channel, other = pair
    other.send(PREFIX.pack(b"BDL1", 100, 0) + b"{")
    started = time.monotonic()
    with pytest.raises(Timeout):
        channel.receive(time.monotonic() + 0.2)
    assert time.monotonic() - started < 1


def test_a_reader_that_does_not_read_times_out(pair: tuple[Channel, socket.socket]) -> None:
    channel, _ = pair
    with pytest.raises(Timeout):
        channel.send(Frame("x", {}, (np.zeros(8_000_000, np.uint8),)), time.monotonic() + 0.2)


def test_a_closed_other_side_is_told(pair: tuple[Channel, socket.socket]) -> None:
    channel, other = pair
    other.close()
    with pytest.raises(WireError, match="gone"):
        channel.receive(time.monotonic() + 1)


def test_large_frames_cross_in_pieces(pair: tuple[Channel, socket.socket]) -> None:
    channel, other = pair
    array = np.random.default_rng(0).integers(0, 255, 3_000_000).astype(np.uint8)
    sender = threading.Thread(target=lambda: Channel(other).send(Frame("big", {}, (array,), "n")))
    sender.start()
    frame = channel.receive(time.monotonic() + 10)
    sender.join()
    np.testing.assert_array_equal(frame.arrays[0], array)


@pytest.fixture
def memory() -> Iterator[int]:
    descriptor = new_descriptor()
    if descriptor is None:
        pytest.skip("this system has no memory that two processes share through a descriptor")
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def sharing(memory: int) -> tuple[Channel, socket.socket, SharedMemory]:
    """The parent's channel, and the worker's socket and side of the memory."""
    ours, theirs = socket.socketpair()
    return Channel(ours, SharedMemory(memory, is_parent=True)), theirs, SharedMemory(memory, is_parent=False)


def test_arrays_travel_through_shared_memory_both_ways(
    sharing: tuple[Channel, socket.socket, SharedMemory],
) -> None:
    parent, other, theirs = sharing
    worker = Channel(other, theirs)
    first = np.random.default_rng(0).normal(size=(128, 1, 28, 28)).astype(np.float32)
    for sender, receiver, arrays in (
        (parent, worker, (first, np.arange(5), np.zeros((0, 3)))),
        (worker, parent, (np.array(2.5), first[:3])),
    ):
        sender.send(Frame("step", {"a": 1}, arrays, "n"))
        assert len(other.recv(10_000, socket.MSG_PEEK) if receiver is worker else b"") < 400  # no array in it
        frame = receiver.receive(time.monotonic() + 5)
        assert (frame.kind, frame.body, frame.nonce) == ("step", {"a": 1}, "n")
        for found, sent in zip(frame.arrays, arrays, strict=True):
            np.testing.assert_array_equal(found, sent)


def test_what_does_not_fit_into_shared_memory_goes_through_the_socket(
    sharing: tuple[Channel, socket.socket, SharedMemory],
) -> None:
    parent, other, theirs = sharing
    array = np.random.default_rng(0).integers(0, 255, CAPACITY + 1).astype(np.uint8)
    sender = threading.Thread(target=lambda: Channel(other, theirs).send(Frame("big", {}, (array,), "n")))
    sender.start()
    frame = parent.receive(time.monotonic() + 10)
    sender.join()
    np.testing.assert_array_equal(frame.arrays[0], array)


def test_a_frame_that_was_read_no_longer_changes(
    sharing: tuple[Channel, socket.socket, SharedMemory],
) -> None:
    parent, other, theirs = sharing
    Channel(other, theirs).send(Frame("x", {}, (np.ones(100),), "n"))
    frame = parent.receive(time.monotonic() + 5)
    theirs.write([np.full(100, 7.0).data.cast("B")])
    np.testing.assert_array_equal(frame.arrays[0], np.ones(100))
    frame.arrays[0][:] = 3  # and what the parent does with it does not reach the other side
    np.testing.assert_array_equal(parent._memory.read(800).view(float), np.full(100, 7.0))  # type: ignore[union-attr]


def test_shared_frames_are_read_as_strictly(sharing: tuple[Channel, socket.socket, SharedMemory]) -> None:
    parent, other, _ = sharing
    header, payload = _parts(Frame("x", {}, (np.ones(4),), "n"))
    for magic, size, message in (
        (MAGIC_SHARED, CAPACITY + 1, "do not fit"),
        (MAGIC_SHARED, MAX_PAYLOAD + 1, "too large"),
        (MAGIC_SHARED, len(payload) + 1, "belong to no array"),
        (MAGIC_SHARED, len(payload) - 1, "larger than the payload"),
        (b"BDL3", len(payload), "does not begin"),
    ):
        other.send(PREFIX.pack(magic, len(header), size) + header)
        with pytest.raises(WireError, match=message):
            parent.receive(time.monotonic() + 1)
        other.setblocking(False)
        parent._socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            parent._socket.recv(10_000)  # what it did not read after the error


def test_a_side_without_the_memory_refuses_what_lies_in_it(pair: tuple[Channel, socket.socket]) -> None:
    channel, other = pair
    header, payload = _parts(Frame("x", {}, (np.ones(4),), "n"))
    other.send(PREFIX.pack(MAGIC_SHARED, len(header), len(payload)) + header)
    with pytest.raises(WireError, match="does not begin"):
        channel.receive(time.monotonic() + 1)


def test_shared_memory_cannot_be_cut_off_under_its_reader(memory: int) -> None:
    for size in (0, 100, 4 * CAPACITY):
        with pytest.raises(PermissionError):
            os.ftruncate(memory, size)
    with pytest.raises(PermissionError):
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
