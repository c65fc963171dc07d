"""The checks: a child that answers well-formed frames with any content fails checks, and never the grader."""

from __future__ import annotations

import contextlib
import io
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from grader import messages
from grader.calls import Finding
from grader.contract import PARTS, Check
from grader.grading import Grading
from grader.in_process import LocalServer
from grader.outcome import Outcome, Status
from grader.parts.invisible_trigger_steps import read_delta, read_step
from grader.sandbox import Meanwhile, nothing
from grader.spec import Spec, load_spec
from grader.usage import Usage
from grader.wire import Frame, WireError, decode, encode, sizes
from tests.fuzz.frames import odd_value

SOLUTION = Path(__file__).resolve().parents[2] / "solution"
_PREFIX = 12
_FILLS = (np.nan, np.inf, -np.inf, 0.0, 1e30, -1e30, 1e-45, 1e14, 3.4e38)


class LyingServer:
    """Answers as the solution would, then changes what it says, as a forger at the other end of the socket could."""

    output = ""

    def __init__(self, rng: random.Random) -> None:
        self._honest = LocalServer()
        self._rng = rng

    def ask(self, question: Frame, *, seconds: float, meanwhile: Meanwhile = nothing) -> Frame:
        answer = self._honest.ask(question, seconds=seconds, meanwhile=meanwhile)
        if question.kind in ("load", "begin") and self._rng.random() < 0.7:
            return answer
        for _ in range(20):
            with contextlib.suppress(WireError, ValueError, TypeError, UnicodeEncodeError):
                return _through_the_wire(self._lie(answer))
        return answer

    def _lie(self, answer: Frame) -> Frame:
        body, arrays = answer.body, list(answer.arrays)
        kind = answer.kind
        for _ in range(self._rng.choice((0, 0, 0, 1, 1, 3))):
            body = _changed(body, self._rng)
        for _ in range(self._rng.choice((0, 1, 1, 1, 3))):
            if arrays:
                at = self._rng.randrange(len(arrays))
                arrays[at] = _other_array(arrays[at], self._rng)
        if arrays and self._rng.random() < 0.05:
            arrays.pop(self._rng.randrange(len(arrays)))
        if self._rng.random() < 0.05:
            kind = self._rng.choice(("raised", "returned", "stepped", "loaded", ""))
        return Frame(kind, body if isinstance(body, dict) else {}, tuple(arrays), answer.nonce)

    def usage(self) -> Usage | None:
        return None

    def close(self) -> None:
        pass


def _through_the_wire(frame: Frame) -> Frame:
    """What the parent would read; raises WireError where it would refuse."""
    data = b"".join(bytes(part) for part in encode(frame))
    header, _ = sizes(data[:_PREFIX])
    return decode(data[_PREFIX : _PREFIX + header], bytearray(data[_PREFIX + header :]))


def _changed(value: Any, rng: random.Random) -> Any:
    """The JSON value with one thing in it changed, added or left out."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(sorted(value))
        action = rng.random()
        if action < 0.1:
            return {k: v for k, v in value.items() if k != key}
        if action < 0.2:
            return {**value, rng.choice(("tensor", "number", "type", "value", "grad")): odd_value(rng)}
        return {**value, key: _changed(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.85:
        at = rng.randrange(len(value))
        if rng.random() < 0.1:
            return value[:at] + value[at + 1 :]
        return [*value[:at], _changed(value[at], rng), *value[at + 1 :]]
    return rng.choice((0, 1, 2, 3, True, None)) if rng.random() < 0.4 else odd_value(rng)


def _other_array(array: np.ndarray, rng: random.Random) -> np.ndarray:
    action = rng.randrange(8)
    if action == 0:
        return array.astype(rng.choice(("float32", "float64", "int64", "uint8", "bool")))
    if action == 1:
        return array.reshape(-1)
    if action == 2:
        return array[None]
    if action == 3:
        return np.zeros([rng.randrange(4) for _ in range(rng.randrange(5))], array.dtype)
    if action == 4:
        return np.zeros((), array.dtype)
    changed = array.astype("float64" if action == 5 else array.dtype)
    with np.errstate(all="ignore"):
        if changed.size:
            where = slice(None) if rng.random() < 0.3 else rng.randrange(changed.size)
            changed = changed.copy()
            fill = rng.choice(_FILLS)
            if changed.dtype.kind == "f" or (np.isfinite(fill) and abs(fill) < 100):
                changed.reshape(-1)[where] = fill
    return changed


class _LiedTo(Grading):
    """A grading whose child lies."""

    def __init__(self, spec: Spec, rng: random.Random) -> None:
        super().__init__(SOLUTION, spec, isolation="none", entropy=rng.randrange(2**32))
        self._lies = rng

    def _start_server(self) -> LyingServer:
        return LyingServer(self._lies)


def fuzz(inputs: int, seed: int) -> Counter[str]:
    """Run so many checks of the contract against a lying child; counts by how they ended.

    Raises:
        AssertionError: a check was a grader error.
    """
    rng = random.Random(seed)
    spec = load_spec()
    checks = [check for part in PARTS for check in part.checks if not check.is_outcome]
    ended: Counter[str] = Counter()
    for number in range(inputs):
        if number % 4 == 3:
            ended[_training_step(rng)] += 1
            continue
        check = rng.choice(checks)
        with _LiedTo(spec, rng) as grading:
            _free(grading, check)
            said = io.StringIO()
            with contextlib.redirect_stderr(said), np.errstate(all="ignore"):
                outcome = grading.outcome(check.id)
                report = grading.report_finished()
            assert outcome.status is not Status.ERROR, f"input {number}: {check.id}: {said.getvalue()}"
            assert len(report.checks) >= 1
            ended[f"{outcome.status}: {outcome.finding or 'no finding'}"] += 1
    return ended


def _free(grading: Grading, check: Check) -> None:
    """Count what the check requires as passed: here it is asked alone."""
    for required in check.requires:
        points = next(c.points for p in PARTS for c in p.checks if c.id == required)
        grading._outcomes[required] = Outcome(required, check.part, Status.PASSED, points, points)


_SIZE = 5
_STEPPED = Frame(
    "stepped",
    {"missing": [], "loss": {"number": 3, "type": "float"}},
    (np.ones(_SIZE, np.float32), *(np.zeros((2, 1, 1, 28, 28), np.float32)), np.array(0.5)),
)


def _training_step(rng: random.Random) -> str:
    """Read the answer to one step of the training, after a lie or two."""
    body: Any = _STEPPED.body
    arrays = list(_STEPPED.arrays)
    for _ in range(rng.choice((0, 0, 1, 2))):
        body = _changed(body, rng)
    for _ in range(rng.choice((0, 1, 1, 2))):
        at = rng.randrange(len(arrays))
        arrays[at] = _other_array(arrays[at], rng)
    if rng.random() < 0.05:
        del arrays[rng.randrange(len(arrays))]
    try:
        answer = _through_the_wire(Frame("stepped", body if isinstance(body, dict) else {}, tuple(arrays)))
    except (WireError, ValueError, TypeError, UnicodeEncodeError):  # nothing that could come
        return "training step: no frame"
    try:
        *_, delta = read_step(answer.body, answer.arrays, _SIZE)
        read_delta((delta,))
    except Finding as finding:
        messages.render("invisible_trigger.outcome.asr", finding.key, finding.values, "en")
        return f"training step: {finding.key}"
    return "training step: read"
