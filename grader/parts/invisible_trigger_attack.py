"""Part 1's outcome: the whole attack with the student's two step functions, then judged on held-out test images.

The parent owns the loop, the model, its optimiser, the data and the clock; the child runs ``poison_step`` and
``delta_step`` for one batch at a time (``invisible_trigger_steps.py``).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from grader.calls import Finding
from grader.lab.data import Images, split_mnist, to_float
from grader.lab.metrics import Rate, accuracy, attack_success_rate, l2, linf, predict, psnr, ssim
from grader.lab.models import LeNet5, forward_only
from grader.lab.training import History, clean_start, held_out_snapshot, hold_out, train_backdoor
from grader.parts.invisible_trigger_steps import ChildStepper, is_bounded
from grader.parts.run import CheckFunction, PartRun
from grader.processors import beside_a_child

SHOWN = 200
"""Test images on which the distances are averaged: SSIM takes 0.3 ms for each, and the trigger is the same on all."""


@dataclass(frozen=True)
class Attack:
    """What training left, and how it does on the test images.

    Attributes:
        delta: as replayed; ``child_delta``: what the child had in the end, its own claim.
    """

    model: LeNet5
    delta: Tensor
    child_delta: Tensor
    history: History
    predictions: Tensor
    triggered_predictions: Tensor
    acc: Rate
    asr: Rate
    untriggered: Rate


@dataclass(frozen=True)
class Data:
    """MNIST, as grey levels: what to train on, and what judges."""

    train: Images
    test: Images


@lru_cache(maxsize=1)
def load_data(split_seed: int) -> Data:
    """Read MNIST, split as the spec says; every part's outcome shares it, and nothing changes it.

    Raises:
        DataError: a file is missing or damaged.
    """
    return Data(*split_mnist(split_seed, grey_levels=True))


def prepare(run: PartRun) -> None:
    """Read the data, and import what draws, in a thread: the parent has nothing to do until the child has started."""

    def work() -> Data:
        if run.pictures_directory is not None:
            from grader.lab import plots  # noqa: F401
        return load_data(run.spec.invisible_trigger.split_seed)

    pool = ThreadPoolExecutor(1)
    run.prepared["data"] = pool.submit(work)
    pool.shutdown(wait=False)


def attack(run: PartRun) -> Attack:
    """Train with the student's steps and evaluate; computed once a run."""
    found: Attack = run.once("attack", lambda: _attack(run))
    return found


def _attack(run: PartRun) -> Attack:
    spec = run.spec.invisible_trigger
    torch.set_num_threads(run.spec.threads.parent)
    data: Data = run.prepared["data"].result() if "data" in run.prepared else load_data(spec.split_seed)
    report = run.progress or (lambda what, done, total: None)
    model = clean_start(
        spec.clean,
        spec.clean_seed,
        data.train,
        progress=lambda done, total, _: report("clean_training", done, total),
        split_seed=spec.split_seed,
    )
    generator = torch.Generator().manual_seed(run.spec.seed)
    stepper = ChildStepper(run)
    train, held_out = hold_out(data.train)
    is_drawn = run.pictures_directory is not None  # snapshots are for the training curves alone
    started = time.perf_counter()
    try:
        with beside_a_child(run.spec.threads.child, own=run.spec.threads.parent):
            history = train_backdoor(
                model, stepper, train, spec.attack, generator,
                progress=lambda done, total, _: report("training", done, total),
                snapshot=held_out_snapshot(held_out.as_float(), spec.target) if is_drawn else None,
            )  # fmt: skip
    finally:
        run.student.close()  # 200 MiB that the evaluation can do without; a later question starts a fresh child
    run.metrics["training_seconds"] = time.perf_counter() - started
    run.metrics["audited_steps"] = stepper.audited
    run.metrics["largest_audit_error"] = stepper.largest_error
    return _evaluate(run, model, stepper, history, data.test)


def _evaluate(run: PartRun, model: LeNet5, stepper: ChildStepper, history: History, test: Images) -> Attack:
    delta = stepper.delta.clone()
    spec = run.spec.invisible_trigger
    # the child is gone: both cores for the parent
    torch.set_num_threads(max(run.spec.threads.parent, run.spec.threads.child))
    quicker = forward_only(model)
    predictions = predict(quicker, test.x)
    triggered_predictions = predict(quicker, test.x, trigger=lambda x: (x + delta).clamp(0, 1))
    result = Attack(
        model, delta, stepper.child_delta, history, predictions, triggered_predictions,
        acc=accuracy(predictions, test.y),
        asr=attack_success_rate(triggered_predictions, test.y, spec.target),
        untriggered=attack_success_rate(predictions, test.y, spec.target),
    )  # fmt: skip
    clean = to_float(test.x[:SHOWN])
    triggered = (clean + delta).clamp(0, 1)
    run.metrics.update(
        acc=result.acc.value,
        asr=result.asr.value,
        asr_hits=result.asr.hits,
        asr_total=result.asr.total,
        untriggered_rate=result.untriggered.value,
        linf=float(linf(clean, triggered).max()),
        l2=float(l2(clean, triggered).mean()),
        psnr=float(psnr(clean, triggered).mean()),
        ssim=float(ssim(clean, triggered).mean()),
    )
    if run.pictures_directory is not None:
        _draw(run, result, test)
    return result


def one_of_each_digit(test: Images) -> Tensor:
    """Positions of the first test image of each class, (10,)."""
    return torch.tensor([int((test.y == digit).nonzero()[0]) for digit in range(10)])


def _draw(run: PartRun, result: Attack, test: Images) -> None:
    """The pictures of the report: the trigger, one test image a class with and without it, the training curves."""
    from grader.lab import plots  # slow to import, and not every grading draws

    assert run.pictures_directory is not None
    spec, folder = run.spec.invisible_trigger, run.pictures_directory
    shown = one_of_each_digit(test)
    x = to_float(test.x[shown])
    plots.plot_trigger(result.delta, spec.epsilon, folder / "trigger.png")
    plots.plot_triggered_samples(
        x, (x + result.delta).clamp(0, 1), y=test.y[shown],
        predictions=result.predictions[shown], triggered_predictions=result.triggered_predictions[shown],
        target=spec.target, path=folder / "triggered_samples.png",
    )  # fmt: skip
    plots.plot_history(result.history, folder / "history.png")
    run.pictures.update({name: f"{name}.png" for name in ("trigger", "triggered_samples", "history")})


def outcome_asr(run: PartRun, _: np.random.Generator) -> Mapping[str, Any]:
    result, limits = attack(run), run.spec.invisible_trigger.thresholds
    if not result.untriggered.value <= limits.untriggered_rate:
        raise Finding("always_target", rate=result.untriggered.value, limit=limits.untriggered_rate)
    values: dict[str, Any] = {
        "asr": result.asr.value,
        "threshold": limits.asr,
        "hits": result.asr.hits,
        "total": result.asr.total,
    }
    if not result.asr.value >= limits.asr:
        raise Finding("below", **values)
    return values


def outcome_acc(run: PartRun, _: np.random.Generator) -> Mapping[str, Any]:
    values: dict[str, Any] = {
        "acc": attack(run).acc.value,
        "threshold": run.spec.invisible_trigger.thresholds.acc,
    }
    if not values["acc"] >= values["threshold"]:
        raise Finding("below", **values)
    return values


def outcome_bound(run: PartRun, _: np.random.Generator) -> Mapping[str, Any]:
    found, epsilon = attack(run), run.spec.invisible_trigger.epsilon
    for delta in (found.delta, found.child_delta):
        if not bool(torch.isfinite(delta).all()):
            raise Finding("not_finite", count=int((~torch.isfinite(delta)).sum()))
        values: dict[str, Any] = {"linf": float(delta.abs().max()), "epsilon": epsilon}
        if not is_bounded(delta, epsilon):
            raise Finding("exceeded", **values)
    return values


CHECKS: dict[str, CheckFunction] = {
    "invisible_trigger.outcome.asr": outcome_asr,
    "invisible_trigger.outcome.acc": outcome_acc,
    "invisible_trigger.outcome.bound": outcome_bound,
}
