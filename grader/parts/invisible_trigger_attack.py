"""Part 1's outcome: the whole attack with the student's two step functions, then judged on held-out test images.

The parent owns the loop, the model, its optimiser, the data and the clock; the child runs ``poison_step`` and
``delta_step`` for one batch at a time. What comes back is a claim:

- delta is replayed on a shadow copy of its optimiser; the shadow is what counts, and another delta than the child's is
  a mismatch;
- the gradients of randomly chosen steps are audited by finite differences (``grader/audit.py``).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from grader.audit import Verdict, audited_model, check_delta_gradient, check_gradients
from grader.lab.adam import Adam
from grader.lab.data import Images, split_mnist, to_float
from grader.lab.metrics import Rate, accuracy, attack_success_rate, l2, linf, predict, psnr, ssim
from grader.lab.models import LeNet5
from grader.lab.training import History, clean_start, held_out_snapshot, hold_out, train_backdoor
from grader.parts.run import CheckFunction, PartRun
from grader.student import Finding

FLOAT32_ROUNDING = 1e-6
"""Tolerance of the epsilon bound, in pixel units: clamping to float32(epsilon) may exceed epsilon by 4e-9 at 1."""
SHADOW_TOLERANCE = 1e-6
"""Largest accepted difference of the child's delta from the shadow's, in pixel units."""
SHOWN = 500
"""Test images on which PSNR and SSIM are averaged (SSIM is slow)."""


class MachineTooBusy(Exception):
    """Training did not end in time, and the student's code is not the reason: a grader error."""


@dataclass(frozen=True)
class Attack:
    """What training left, and how it does on the test images."""

    model: LeNet5
    delta: Tensor
    history: History
    predictions: Tensor
    triggered_predictions: Tensor
    acc: Rate
    asr: Rate
    untriggered: Rate


class ChildStepper:
    """The ``Stepper`` of ``train_backdoor`` that asks the child, and checks what it says.

    Args:
        start: delta to begin with, (1, 1, 28, 28), within epsilon; zeros unless given.
    """

    def __init__(self, run: PartRun, *, start: Tensor | None = None) -> None:
        self._run = run
        self._spec = run.spec.invisible_trigger
        self._deadline = time.monotonic() + run.spec.limits.run_seconds
        self._rng = np.random.default_rng(secrets.randbits(128))  # which steps are audited must not be known
        start = torch.zeros(1, 1, 28, 28) if start is None else start.detach().clone()
        self._shadow = start.requires_grad_()
        settings: dict[str, Any] = {"lr": self._spec.attack.delta_learning_rate}
        self._shadow_optimizer = Adam([self._shadow], **settings)
        self._double = audited_model(LeNet5())
        self._returned_delta = start.detach().numpy().copy()
        self.step = 0
        self.audited = 0
        self._audit_at = 0
        self.largest_error = 0.0
        body = {"model": "lenet5", "sizes": {}, "target": self._spec.target, "epsilon": self._spec.epsilon,
                "optimizer": "adam", "settings": settings}  # fmt: skip
        run.student.begin_attack(body, self._returned_delta)

    @property
    def delta(self) -> Tensor:
        return self._shadow.detach()

    def poison_step(self, model: nn.Module, x: Tensor, y: Tensor) -> float:
        if time.monotonic() > self._deadline:
            self._too_slow()
        self.step += 1
        parameters = list(model.parameters())
        flat = torch.cat([p.detach().reshape(-1) for p in parameters])
        answer = self._run.student.attack_step(flat.numpy(), x.contiguous().numpy(), y.numpy())
        loss, gradient, delta_gradient, self._returned_delta = _read_step(
            answer.body, answer.arrays, len(flat)
        )
        for p, g in zip(parameters, gradient.split([p.numel() for p in parameters]), strict=True):
            p.grad = g.view(p.shape).contiguous(memory_format=torch.preserve_format)
        self._shadow.grad = delta_gradient
        if self._is_audited():
            self._audit(model, x, y)
        return loss

    def _too_slow(self) -> None:
        """A busy machine must not cost points: blame the student's code only for most of the time, be it that it
        computed or that it slept. What it waited for a processor, and what this process took, is the machine's.
        """
        limit = self._run.spec.limits.run_seconds
        usage = self._run.student.usage()
        if usage is not None and max(usage.cpu, usage.asked - usage.queued) < limit / 2:
            raise MachineTooBusy(
                f"training took over {limit:.0f} s: the student's code had {usage.asked:.0f} s to answer, waited "
                f"{usage.queued:.0f} s of them for a processor, and used {usage.cpu:.0f} s of CPU"
            )
        raise Finding("timeout", seconds=limit)

    def delta_step(self) -> None:
        self._shadow_optimizer.step()
        with torch.no_grad():
            self._shadow.clamp_(-self._spec.epsilon, self._spec.epsilon)
        difference = np.abs(self._shadow.detach().numpy() - self._returned_delta).max()
        if not bool(difference <= SHADOW_TOLERANCE):
            self._mismatch("delta_mismatch")

    def _is_audited(self) -> bool:
        """One random step in each block of 1 / audit_share steps: who lies for two blocks is asked while lying."""
        if self._spec.audit_share == 0:
            return False
        block = round(1 / self._spec.audit_share)
        position = (self.step - 1) % block
        if position == 0:
            self._audit_at = int(self._rng.integers(block))
        return position == self._audit_at

    def _audit(self, model: nn.Module, x: Tensor, y: Tensor) -> None:
        self.audited += 1
        threads = self._run.spec.threads
        torch.set_num_threads(threads.child)  # the child waits meanwhile
        try:
            verdicts = self._check(model, x, y)
        finally:
            torch.set_num_threads(threads.parent)
        self.largest_error = max(self.largest_error, *(v.error / v.tolerance for v in verdicts))
        if not all(verdict.agrees for verdict in verdicts):
            self._mismatch("audit_mismatch")

    def _check(self, model: nn.Module, x: Tensor, y: Tensor) -> tuple[Verdict, Verdict]:
        """The model's gradients and delta's: who lies in one of them is asked about that one, too."""
        with torch.no_grad():
            for mine, theirs in zip(self._double.parameters(), model.parameters(), strict=True):
                mine.copy_(theirs)
        assert self._shadow.grad is not None
        point = (self._double, self._shadow.detach().double(), (x.double(), y), self._spec.target)
        gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        return (
            check_gradients(*point, gradients=gradients, rng=self._rng),
            check_delta_gradient(*point, gradient=self._shadow.grad, rng=self._rng),
        )

    def _mismatch(self, key: str) -> None:
        """A returned step is not a step of the objective: no outcome, and a person should look."""
        values: dict[str, Any] = {"steps": [self.step], "mismatches": 1, "audited": max(1, self.audited)}
        self._run.review.append((key, values))
        raise Finding(key, **values)


def _read_step(
    body: Mapping[str, Any], arrays: tuple[np.ndarray, ...], size: int
) -> tuple[float, Tensor, Tensor, np.ndarray]:
    """Loss, flat gradient, delta's gradient and delta of one step, after their form was checked."""
    missing = body.get("missing")
    if missing:
        raise Finding(
            "exception", type="RuntimeError", message=f"no gradient in {', '.join(map(str, missing))}"[:200]
        )
    forms = (("float64", ()), ("float32", (size,)), ("float32", (1, 1, 28, 28)), ("float32", (1, 1, 28, 28)))
    if len(arrays) != len(forms):
        raise Finding("protocol", message="a step has four arrays")
    for array, (dtype, shape) in zip(arrays, forms, strict=True):
        if array.dtype.name != dtype:
            raise Finding("wrong_dtype", expected=dtype, found=array.dtype.name)
        if array.shape != shape:
            raise Finding("wrong_shape", expected=str(shape), found=str(array.shape))
        # a squared gradient must still be finite in Adam
        if not bool((np.abs(array) < 1e15).all()):
            raise Finding("not_finite", count=int((~(np.abs(array) < 1e15)).sum()))
    loss, gradient, delta_gradient, delta = arrays
    return float(loss), torch.from_numpy(gradient), torch.from_numpy(delta_gradient), delta


@dataclass(frozen=True)
class Data:
    """MNIST, as grey levels: what to train on, and what judges."""

    train: Images
    test: Images


def load_data(split_seed: int) -> Data:
    """Read MNIST, split as the spec says.

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
    started = time.perf_counter()
    history = train_backdoor(
        model, stepper, train, spec.attack, generator,
        progress=lambda done, total, _: report("training", done, total),
        snapshot=held_out_snapshot(held_out.as_float(), spec.target),
    )  # fmt: skip
    run.metrics["training_seconds"] = time.perf_counter() - started
    run.metrics["audited_steps"] = stepper.audited
    run.metrics["largest_audit_error"] = stepper.largest_error
    return _evaluate(run, model, stepper.delta.clone(), history, data.test)


def _evaluate(run: PartRun, model: LeNet5, delta: Tensor, history: History, test: Images) -> Attack:
    spec = run.spec.invisible_trigger
    # the child is idle now: both cores for the parent
    torch.set_num_threads(max(run.spec.threads.parent, run.spec.threads.child))
    predictions = predict(model, test.x)
    triggered_predictions = predict(model, test.x, trigger=lambda x: (x + delta).clamp(0, 1))
    result = Attack(
        model, delta, history, predictions, triggered_predictions,
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
    delta, epsilon = attack(run).delta, run.spec.invisible_trigger.epsilon
    if not bool(torch.isfinite(delta).all()):
        raise Finding("not_finite", count=int((~torch.isfinite(delta)).sum()))
    values: dict[str, Any] = {"linf": float(delta.abs().max()), "epsilon": epsilon}
    if not bool((delta.abs() <= epsilon + FLOAT32_ROUNDING).all()):
        raise Finding("exceeded", **values)
    return values


CHECKS: dict[str, CheckFunction] = {
    "invisible_trigger.outcome.asr": outcome_asr,
    "invisible_trigger.outcome.acc": outcome_acc,
    "invisible_trigger.outcome.bound": outcome_bound,
}
