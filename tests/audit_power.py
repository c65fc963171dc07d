"""How likely the audit is to catch a submission that lies about its gradients in k steps of the training.

    python -m tests.audit_power [--looks 2] [--save]

Trains with the reference solution, as grading does, and stops in every block of audited steps. There each kind of lie
is told and audited with fresh random directions, which gives the chance p that an audited lie is seen. One step in each
block of b is audited, so bad steps k_1, k_2, ... in the blocks are all missed with probability
(1 - p k_1 / b)(1 - p k_2 / b)... For a given k that is largest where all blocks have equally many: the table shows the
chance against this, the liar's best choice. All in one block, k of them are caught with probability p k / b.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

import solution.invisible_trigger as reference
from grader.audit import Verdict, audited_model, check_delta_gradient, check_gradients
from grader.batch.ledger import grader_hash
from grader.lab.data import load_mnist
from grader.lab.models import LeNet5
from grader.lab.training import AttackSettings, LocalStepper, clean_start, train_backdoor
from grader.outcome import write_whole
from grader.spec import load_spec

Gradients = dict[str, Tensor]
Lie = Callable[["Moment", torch.Generator], tuple[Gradients, Tensor]]
MEASURED = Path(__file__).with_name("measured") / "audit_power.md"
BAD_STEPS = (1, 5, 10, 25, 50, 75, 100, 200, 468, 650)


class Moment:
    """A step of the attack: the point in float64, and the honest gradients that float32 gives there."""

    def __init__(self, model: torch.nn.Module, delta: Tensor, x: Tensor, y: Tensor, target: int) -> None:
        self.double = audited_model(model)
        self.delta, self.x, self.y, self.target = delta.detach().double(), x.double(), y, target
        self.gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
        assert delta.grad is not None
        self.delta_gradient = delta.grad.clone()

    def audit(self, gradients: Gradients, seed: int = 0) -> Verdict:
        rng = np.random.default_rng(seed)
        return check_gradients(
            self.double, self.delta, (self.x, self.y), self.target, gradients=gradients, rng=rng
        )

    def audit_delta(self, gradient: Tensor, seed: int = 0) -> Verdict:
        rng = np.random.default_rng(seed)
        return check_delta_gradient(
            self.double, self.delta, (self.x, self.y), self.target, gradient=gradient, rng=rng
        )

    def is_caught(self, lie: Lie, seed: int) -> bool:
        """Whether one audit sees this lie."""
        gradients, delta_gradient = lie(self, torch.Generator().manual_seed(seed))
        return not (
            self.audit(gradients, seed).agrees and self.audit_delta(delta_gradient, seed + 1000).agrees
        )


class _Recorder(LocalStepper):
    """Remembers some of the steps that it makes."""

    def __init__(self, keep: set[int], settings: AttackSettings) -> None:
        part = load_spec().invisible_trigger
        super().__init__(
            reference, shape=(1, 28, 28), target=part.target, epsilon=part.epsilon,
            learning_rate=settings.delta_learning_rate,
        )  # fmt: skip
        self._keep, self._step = keep, 0
        self.moments: list[Moment] = []

    def poison_step(self, model: torch.nn.Module, x: Tensor, y: Tensor) -> float:
        loss = super().poison_step(model, x, y)
        self._step += 1
        if self._step in self._keep:
            self.moments.append(Moment(model, self._delta, x, y, self._target))
        return loss


def moments(settings: AttackSettings, block: int, seed: int) -> list[Moment]:
    """One step in the middle of each block of the public spec's training."""
    part = load_spec().invisible_trigger
    train = load_mnist("train")
    recorder = _Recorder(set(range(block // 2, settings.steps + 1, block)), settings)
    model = clean_start(part.clean, part.clean_seed, train)
    train_backdoor(model, recorder, train, settings, torch.Generator().manual_seed(seed))
    return recorder.moments


def steering(layers: Sequence[str] = (), *, share: float = 1.0, delta: bool = False) -> Lie:
    """Returns theta - theta* for some layers (all where none are named), or delta - delta*; mixed with the truth."""

    def lie(moment: Moment, generator: torch.Generator) -> tuple[Gradients, Tensor]:
        gradients = dict(moment.gradients)
        if delta:
            hidden = 0.03 * torch.sign(torch.randn(moment.delta.shape, generator=generator))
            return gradients, _mixed(moment.delta_gradient, moment.delta.float() - hidden, share)
        for name, parameter in moment.double.named_parameters():
            if not layers or name in layers:
                hidden = 0.1 * torch.randn(parameter.shape, generator=generator)
                gradients[name] = _mixed(gradients[name], parameter.detach().float() - hidden, share)
        return gradients, moment.delta_gradient

    return lie


def _mixed(honest: Tensor, wanted: Tensor, share: float) -> Tensor:
    """The wanted gradient, or the honest one with so much of it, relative to the honest one's norm."""
    if share == 1.0:
        return wanted
    return honest + share * honest.norm() * wanted / wanted.norm()


def lies() -> Mapping[str, Lie]:
    """The kinds that the table shows."""
    names = [name for name, _ in LeNet5().named_parameters()]
    return {
        "every layer": steering(),
        **{f"only {name}": steering((name,)) for name in names if name.endswith("weight")},
        "only the biases": steering(tuple(name for name in names if name.endswith("bias"))),
        "only delta": steering(delta=True),
        "a tenth, every layer": steering(share=0.1),
        "a hundredth, every layer": steering(share=0.01),
        "a thousandth, every layer": steering(share=0.001),
    }


def chance(bad_steps: Sequence[int], block: int, seen: float) -> float:
    """Chance to catch so many bad steps in each block; ``seen``: that an audited one is recognised."""
    return 1 - math.prod(1 - seen * bad / block for bad in bad_steps)


def spread(bad_steps: int, blocks: int) -> list[int]:
    """So many bad steps, as evenly over the blocks as can be."""
    each, more = divmod(bad_steps, blocks)
    return [each + (number < more) for number in range(blocks)]


def rows(found: Sequence[Moment], looks: int) -> Iterator[tuple[str, int, int]]:
    """(kind of lie, times seen, times audited)."""
    for name, lie in tqdm(lies().items(), unit="lie", leave=False):
        caught = [moment.is_caught(lie, seed) for moment in found for seed in range(looks)]
        yield name, sum(caught), len(caught)


def table(
    counts: Sequence[tuple[str, int, int]], blocks: int, block: int, false_alarms: tuple[int, int]
) -> str:
    """Markdown: the chance to catch k bad steps, for each kind of lie."""
    head = ["steering", "seen when audited", *(f"k = {k}" for k in BAD_STEPS)]
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for name, caught, audited in counts:
        chances = (f"{chance(spread(k, blocks), block, caught / audited):.1%}" for k in BAD_STEPS)
        lines.append(f"| {name} | {caught} of {audited} | {' | '.join(chances)} |")
    lines += ["", f"Honest steps: {false_alarms[0]} false alarms in {false_alarms[1]} audits."]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.audit_power", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--looks", type=int, default=2, help="audits of each lie in each block")
    parser.add_argument("--seed", type=int, default=1, help="order of the training's batches")
    parser.add_argument("--save", action="store_true", help=f"keep the table in {MEASURED.name}")
    options = parser.parse_args()
    part = load_spec().invisible_trigger
    block = round(1 / part.audit_share)
    found = moments(part.attack, block, options.seed)
    honest = [
        moment.audit(moment.gradients, seed).agrees and moment.audit_delta(moment.delta_gradient, seed).agrees
        for moment in found
        for seed in range(options.looks)
    ]
    counts = list(rows(found, options.looks))
    text = (
        f"Grader `{grader_hash()}`: {part.attack.steps} steps, one audited in each block of {block}; "
        "chance to catch k bad steps:\n\n"
        + table(counts, part.attack.steps // block, block, (honest.count(False), len(honest)))
    )
    print(text)
    if options.save:
        write_whole(MEASURED, text + "\n")
    return int(not all(honest))


if __name__ == "__main__":
    sys.exit(main())
