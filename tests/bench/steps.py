"""What the sandbox and its audits cost a training step: the same training three times over, in turns of a few steps.

    python -m tests.bench steps

The machine's own speed drifts by more in a minute than the sandbox costs. So the three loops, each in a process of its
own, do not run one after another but take turns, and the clock of a loop runs in its turns alone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection
from unittest import mock

import torch

import solution.invisible_trigger as reference
from grader.contract import INVISIBLE_TRIGGER
from grader.grading import Grading
from grader.isolation import ROOT
from grader.lab.data import load_mnist
from grader.lab.training import LocalStepper, Stepper, clean_start, train_backdoor
from grader.parts.invisible_trigger_steps import ChildStepper
from grader.processors import beside_a_child
from grader.spec import Spec, load_spec

TURN = 65
"""Steps a turn: about a second. An audit follows every 50 steps, and turns must not begin there (with 25 or 50 steps
every audit would open one): with other loops' numbers in the caches it takes longer than in a training that runs alone.
"""
LOCAL = "in one process"
AUDITED = "through the sandbox, audited"
SILENT = "through the sandbox, no audit"

Pause = Callable[[], None]
Loop = Callable[[int, Pause], None]
"""(seed, pause): calls ``pause`` when it is ready to begin, wherever its turn may end, and when it is done: what it
clears away after that does not count."""


def local_stepper(spec: Spec) -> LocalStepper:
    """The reference solution's functions in this process."""
    part = spec.invisible_trigger
    return LocalStepper(
        reference, shape=(1, 28, 28), target=part.target, epsilon=part.epsilon,
        learning_rate=part.attack.delta_learning_rate,
    )  # fmt: skip


def _train(spec: Spec, stepper: Stepper, seed: int, pause: Pause) -> None:
    part = spec.invisible_trigger
    train = load_mnist("train", grey_levels=True)
    model = clean_start(part.clean, part.clean_seed, train)

    def progress(step: int, steps: int, _: float) -> None:
        if step % TURN == 0 and step < steps:
            pause()

    pause()
    train_backdoor(model, stepper, train, part.attack, torch.Generator().manual_seed(seed), progress=progress)
    pause()


def _in_one_process(seed: int, pause: Pause) -> None:
    spec = load_spec()
    torch.set_num_threads(spec.threads.child)
    _train(spec, local_stepper(spec), seed, pause)


def _through_the_sandbox(spec: Spec, seed: int, pause: Pause) -> None:
    with Grading(ROOT / "solution", spec) as grading:
        grading.outcome(INVISIBLE_TRIGGER.checks[0].id)  # the child is up and has the file
        torch.set_num_threads(spec.threads.parent)
        stepper = ChildStepper(grading._runs[INVISIBLE_TRIGGER.name])
        with beside_a_child(spec.threads.child, own=spec.threads.parent):
            _train(spec, stepper, seed, pause)


def _audited(seed: int, pause: Pause) -> None:
    _through_the_sandbox(load_spec(), seed, pause)


def _silent(seed: int, pause: Pause) -> None:
    spec = load_spec()
    part = dataclasses.replace(spec.invisible_trigger, audit_share=0.0)
    _through_the_sandbox(dataclasses.replace(spec, invisible_trigger=part), seed, pause)


LOOPS: dict[str, Loop] = {LOCAL: _in_one_process, AUDITED: _audited, SILENT: _silent}


def seconds_in_turns(loops: Mapping[str, Loop], seed: int) -> dict[str, float]:
    """Seconds that each loop takes, all its turns together and nothing else.

    Args:
        loops: by name, functions of a module; they take their turns in this order.

    Raises:
        EOFError: one of them failed; it has said why on stderr.
    """
    seconds = dict.fromkeys(loops, 0.0)
    with contextlib.ExitStack() as stack:
        waiting = {name: stack.enter_context(_started(loop, seed)) for name, loop in loops.items()}
        for channel in waiting.values():
            channel.recv()  # it is ready
        while waiting:
            for name, channel in list(waiting.items()):
                channel.send(None)
                spent, is_over = channel.recv()
                seconds[name] += spent
                if is_over:
                    del waiting[name]
    return seconds


@contextlib.contextmanager
def _started(loop: Loop, seed: int) -> Iterator[Connection]:
    """A process that runs the loop as soon as it is told to."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(loop, seed, theirs))
    with _usual_waiting():
        process.start()
    theirs.close()
    try:
        yield ours
    finally:
        ours.close()  # where something failed, those that wait end of it
        process.join()


@contextlib.contextmanager
def _usual_waiting() -> Iterator[None]:
    """What is started here waits for its threads as any program with torch does: the grader's own way, which is for
    machines where others work as well (``grader/__init__.py``), would make the loop in one process slow.

    That torch is imported before the grader, at the top of this file, does the same in the new process.
    """
    with mock.patch.dict(os.environ):
        os.environ.pop("OMP_WAIT_POLICY", None)
        yield


def _serve(loop: Loop, seed: int, channel: Connection) -> None:
    began: float | None = None

    def pause() -> None:
        nonlocal began
        channel.send(None if began is None else (time.perf_counter() - began, False))
        channel.recv()
        began = time.perf_counter()

    loop(seed, pause)
    channel.send((0.0, True))


def measure(runs: int) -> dict[str, list[float]]:
    """Seconds of each loop in every run; who begins differs from run to run."""
    orders = itertools.cycle(itertools.permutations(LOOPS))
    found = [seconds_in_turns({name: LOOPS[name] for name in next(orders)}, run) for run in range(runs)]
    return {name: [seconds[name] for seconds in found] for name in LOOPS}
