"""Frames: what is written is read back, and whatever is not exactly a frame is refused."""

import contextlib
import json
import socket
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.wire import (
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


@pytest.mark.parametrize("dtype", ["float16", "complex64", "object", "int32"])
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
