"""The steps of part 1's training: asks the child for each, and checks what it says. What comes back is a claim:

- delta is replayed on a shadow copy of its optimiser; the shadow is what ACC and ASR are measured with, and another
  delta than the child's is a mismatch. The child makes its own ``delta_step`` while the parent goes on with the
  gradients, and the parent replays and compares it while the child computes the next step;
- the gradients of randomly chosen steps are audited by finite differences (``grader/audit.py``). That takes time, which
  the child could notice and lie for the rest of the block, so the question is asked when the block is over. The child
  waits until it is answered: beside a child that wants every processor, an audit takes longer and holds up its steps.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from grader.audit import Verdict, audited_model, check_delta_gradient, check_gradients
from grader.calls import MALFORMED, Finding, Returned, decode_result
from grader.isolation import MachineFault
from grader.lab.adam import Adam
from grader.lab.models import LeNet5
from grader.lab.training import Batch
from grader.parts.run import PartRun
from grader.processors import available, run_on

FLOAT32_ROUNDING = 1e-6
"""Tolerance of the epsilon bound, in pixel units: clamping to float32(epsilon) may exceed epsilon by 4e-9 at 1."""
LARGEST = 1e15
"""Limit of a step's numbers: a squared gradient must still be finite in Adam."""
DELTA_SHAPE = (1, 1, 28, 28)
"""Of the trigger for MNIST: (1, C, H, W)."""
SHADOW_TOLERANCE = 1e-6
"""Largest accepted difference of the child's delta from the shadow's, in pixel units."""


@dataclass(frozen=True)
class _Claim:
    """A step as it was asked for, the gradients that came back, and the delta at which they are said to be taken."""

    number: int
    parameters: Tensor
    x: Tensor
    y: Tensor
    gradient: Tensor
    delta_gradient: Tensor
    delta: np.ndarray


class _Prefetched(Iterator[Batch]):
    """Batches of which the next can be made before it is asked for."""

    def __init__(self, source: Iterator[Batch]) -> None:
        self._source = source
        self._made: Batch | None = None

    def make(self) -> None:
        if self._made is None:
            self._made = next(self._source, None)

    def __next__(self) -> Batch:
        self.make()
        batch, self._made = self._made, None
        if batch is None:
            raise StopIteration
        return batch


class ChildStepper:
    """The ``Stepper`` of ``train_backdoor`` that asks the child, and checks what it says.

    Args:
        start: delta to begin with, (1, 1, 28, 28), within epsilon; zeros unless given.
        may_disagree: the share of all audits that may disagree before it counts; see
            ``invisible_trigger_challenge``.
    """

    def __init__(self, run: PartRun, *, start: Tensor | None = None, may_disagree: float = 0.0) -> None:
        self._run = run
        self._spec = run.spec.invisible_trigger
        self._deadline = time.monotonic() + run.spec.limits.run_seconds
        # as many threads as the child has, for it leaves its processors alone while it waits
        self._auditors = ThreadPoolExecutor(
            run.spec.threads.child, initializer=run_on, initargs=(available(),)
        )
        self._upcoming = _Prefetched(iter(()))
        self._rng = np.random.default_rng(secrets.randbits(128))  # which steps are audited must not be known
        start = torch.zeros(DELTA_SHAPE) if start is None else start.detach().clone()
        self._shadow = start.requires_grad_()
        settings: dict[str, Any] = {"lr": self._spec.attack.delta_learning_rate}
        self._shadow_optimizer = Adam([self._shadow], **settings)
        self._double = audited_model(LeNet5())
        self._returned_delta = start.detach().numpy().copy()
        self._gradients: Tensor | None = None
        self.step = 0
        self.audited = 0
        self._disagreed = 0
        self._may_disagree = int(may_disagree * self._spec.audit_share * self._spec.attack.steps)
        self._audit_at = 0
        self._unsettled: _Claim | None = None
        self._chosen: tuple[_Claim, Tensor] | None = None
        self.largest_error = 0.0
        body = {"model": "lenet5", "sizes": {}, "target": self._spec.target, "epsilon": self._spec.epsilon,
                "optimizer": "adam", "settings": settings}  # fmt: skip
        run.student.begin_attack(body, self._returned_delta)

    @property
    def delta(self) -> Tensor:
        self._settle()
        return self._shadow.detach()

    @property
    def child_delta(self) -> Tensor:
        """The delta that the child returned last."""
        return torch.from_numpy(self._returned_delta.copy())

    def ahead(self, upcoming: Iterator[Batch]) -> Iterator[Batch]:
        self._upcoming = _Prefetched(upcoming)
        return self._upcoming

    def poison_step(self, model: nn.Module, x: Tensor, y: Tensor) -> float:
        if time.monotonic() > self._deadline:
            self._too_slow()
        parameters = list(model.parameters())
        flat = torch.cat([p.detach().reshape(-1) for p in parameters])

        def meanwhile() -> None:
            self._settle()
            self._upcoming.make()

        if self._ends_block():
            self._settle()  # with the audit, before the child is at work again
        answer = self._run.student.attack_step(
            flat.numpy(), x.contiguous().numpy(), y.numpy(), meanwhile=meanwhile
        )
        self.step += 1
        loss, gradient, delta_gradient, delta = read_step(answer.body, answer.arrays, len(flat))
        self._set_gradients(parameters, gradient)
        self._returned_delta = delta
        self._unsettled = _Claim(self.step, flat, x, y, gradient, delta_gradient, delta)
        return loss

    def delta_step(self) -> None:
        """The child makes its step by itself, and the shadow's waits until the child works again; but for the last."""
        if self.step < self._spec.attack.steps:
            return
        self._settle()
        self._returned_delta = read_delta(self._run.student.attack_delta().arrays)
        # No later step builds on the last delta; whether it is in the ball is the bound's own question.
        if not self._is_shadow(self._returned_delta):
            finding = self._mismatch("delta_mismatch", self.step)
            if is_bounded(self.child_delta, self._spec.epsilon):
                raise finding

    def _settle(self) -> None:
        """What is left to do with the last answer: compare its delta, see to the audits, repeat its delta_step."""
        claim, self._unsettled = self._unsettled, None
        if claim is None:
            return
        if not self._is_shadow(claim.delta):  # the step before left it
            raise self._mismatch("delta_mismatch", max(1, claim.number - 1))
        # remembered in every step, so that a chosen one takes no longer than another; nothing writes into a gradient
        point = (claim, self._shadow.detach().clone())
        if self._is_audited():
            self._chosen = point
        if self._chosen is not None and self._ends_block():
            self._audit(*self._chosen)
            self._chosen = None
        self._shadow.grad = claim.delta_gradient
        self._shadow_optimizer.step()
        with torch.no_grad():
            self._shadow.clamp_(-self._spec.epsilon, self._spec.epsilon)

    def _is_shadow(self, delta: np.ndarray) -> bool:
        return bool(np.abs(self._shadow.detach().numpy() - delta).max() <= SHADOW_TOLERANCE)

    def _set_gradients(self, parameters: Sequence[nn.Parameter], gradient: Tensor) -> None:
        """Leave the flat gradient in ``p.grad``: views of one tensor, made once, so that a step copies once."""
        if self._gradients is None:
            self._gradients = torch.empty_like(gradient)
            pieces = self._gradients.split([p.numel() for p in parameters])
            for p, piece in zip(parameters, pieces, strict=True):
                p.grad = piece.view(p.shape)
        self._gradients.copy_(gradient)

    def _too_slow(self) -> None:
        """A busy machine must not cost points: blame the student's code only for most of the time, be it that it
        computed or that it slept. What it waited for a processor, and what this process took, is the machine's.
        """
        limit = self._run.spec.limits.run_seconds
        usage = self._run.student.usage()
        if usage is not None and max(usage.cpu, usage.asked - usage.longest_queued) < limit / 2:
            raise MachineFault(
                f"training took over {limit:.0f} s: the student's code had {usage.asked:.0f} s to answer, waited "
                f"{usage.longest_queued:.0f} s of them for a processor, and used {usage.cpu:.0f} s of CPU"
            )
        raise Finding("timeout", seconds=limit)

    def _block(self) -> int:
        return round(1 / self._spec.audit_share)

    def _is_audited(self) -> bool:
        """One random step in each block of 1 / audit_share steps: who lies for two blocks is asked while lying."""
        if self._spec.audit_share == 0:
            return False
        position = (self.step - 1) % self._block()
        if position == 0:
            self._audit_at = int(self._rng.integers(self._block()))
        return position == self._audit_at

    def _ends_block(self) -> bool:
        """Whether no block is under way: the last step was its block's last, or there was none."""
        if self._spec.audit_share == 0:
            return False
        return self.step % self._block() == 0 or self.step == self._spec.attack.steps

    def _audit(self, claim: _Claim, delta: Tensor) -> None:
        """Compare the gradients with the objective, with as many threads as the child has, and act on the verdicts."""
        self.audited += 1
        verdicts = self._check(claim, delta)
        self.largest_error = max(self.largest_error, *(v.error / v.tolerance for v in verdicts))
        if not all(verdict.agrees for verdict in verdicts):
            self._disagreed += 1
            if self._disagreed > self._may_disagree:
                raise self._mismatch("audit_mismatch", claim.number)

    def _check(self, claim: _Claim, delta: Tensor) -> tuple[Verdict, Verdict]:
        """The model's gradients and delta's: who lies in one of them is asked about that one, too."""
        sizes = [p.numel() for p in self._double.parameters()]
        gradients = {}
        with torch.no_grad():
            pieces = zip(
                self._double.named_parameters(),
                claim.parameters.split(sizes),
                claim.gradient.split(sizes),
                strict=True,
            )
            for (name, mine), values, gradient in pieces:
                mine.copy_(values.view(mine.shape))
                gradients[name] = gradient.view(mine.shape)
        point = (self._double, delta.double(), (claim.x.double(), claim.y), self._spec.target)
        means: dict[str, Any] = {"rng": self._rng, "pool": self._auditors}
        return (
            check_gradients(*point, gradients=gradients, **means),
            check_delta_gradient(*point, gradient=claim.delta_gradient, **means),
        )

    def _mismatch(self, key: str, step: int) -> Finding:
        """A returned step is not a step of the objective: no outcome, and a person should look."""
        values: dict[str, Any] = {
            "steps": [step], "mismatches": max(1, self._disagreed), "audited": max(1, self.audited)
        }  # fmt: skip
        self._run.review.append((key, values))
        return Finding(key, **values)


def is_bounded(delta: Tensor, epsilon: float) -> bool:
    """Finite, and within the ball but for rounding."""
    return bool(torch.isfinite(delta).all() and (delta.abs() <= epsilon + FLOAT32_ROUNDING).all())


def _is_reasonable(array: np.ndarray) -> bool:
    """Every value is finite and less than ``LARGEST``, either way."""
    flat = array.reshape(-1)
    with np.errstate(over="ignore", invalid="ignore"):
        # one value that is not makes the sum of squares at least as large, or NaN: mostly, no other look is needed
        return bool(flat @ flat < LARGEST**2) or bool((np.abs(flat) < LARGEST).all())


def read_step(
    body: Mapping[str, Any], arrays: tuple[np.ndarray, ...], size: int
) -> tuple[float, Tensor, Tensor, np.ndarray]:
    """Loss, flat gradient, delta's gradient and delta of one step, after their form was checked.

    The loss is only shown in progress bars and curves, so a tensor is as good as a number; its own check says more.
    """
    missing = body.get("missing")
    if not isinstance(missing, list):
        raise Finding("protocol", message="a step says which gradients are missing")
    if missing:
        raise Finding("no_gradient", names=", ".join(map(str, missing))[:200])
    loss = _read_loss(body, arrays)
    shapes: tuple[tuple[int, ...], ...] = ((size,), DELTA_SHAPE, DELTA_SHAPE)
    if len(arrays) < len(shapes):
        raise Finding("protocol", message="a step has three arrays")
    gradient, delta_gradient, delta = (_checked(a, s) for a, s in zip(arrays, shapes, strict=False))
    return loss, torch.from_numpy(gradient), torch.from_numpy(delta_gradient), delta


def read_delta(arrays: tuple[np.ndarray, ...]) -> np.ndarray:
    """The delta that the child has after the last step, after its form was checked."""
    if len(arrays) != 1:
        raise Finding("protocol", message="delta is one array")
    return _checked(arrays[0], DELTA_SHAPE)


def _checked(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if array.dtype.name != "float32":
        raise Finding("wrong_dtype", expected="float32", found=array.dtype.name)
    if array.shape != shape:
        raise Finding("wrong_shape", expected=str(shape), found=str(array.shape))
    if not _is_reasonable(array):
        raise Finding("not_finite", count=int((~(np.abs(array) < LARGEST)).sum()))
    return array


def _read_loss(body: Mapping[str, Any], arrays: tuple[np.ndarray, ...]) -> float:
    try:
        loss = Returned(decode_result(body["loss"], arrays), arrays, (), None).number()
    except MALFORMED:
        raise Finding("protocol", message="a step says what the loss is") from None
    except Finding as finding:
        if finding.key not in ("returned_none", "not_a_number"):
            raise
        raise Finding("no_loss", found=str(finding.values.get("found", None))) from None
    if abs(loss) >= LARGEST:
        raise Finding("not_finite", count=1)
    return loss
