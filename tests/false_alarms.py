"""How often the finite differences of part 1's single checks call an honest gradient wrong.

    python -m tests.false_alarms [--count 12000] [--first 0]

An honest gradient is float32's. Next to a kink of ReLU or max-pool its rounding can take the other side than float64
does; with six images, which is what the single checks use, that moves the gradient by several per cent.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

import numpy as np
import torch
from tqdm import tqdm

import solution.invisible_trigger as reference
from grader.audit import Verdict, audited_model, check_delta_gradient, check_gradients
from grader.parts.invisible_trigger import random_lenet5

TARGET = 7


def verdicts(seed: int) -> tuple[Verdict, Verdict]:
    """Of the reference solution's gradients, of the model and of delta, on a random LeNet-5 and six images."""
    rng = np.random.default_rng(seed)
    model, *arrays = random_lenet5(rng, TARGET)
    x, y, delta = (torch.from_numpy(a) for a in arrays)
    delta.requires_grad_()
    reference.poison_step(model, delta, x, y, TARGET)
    point = (audited_model(model), delta.detach().double(), (x.double(), y), TARGET)
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert delta.grad is not None
    return (
        check_gradients(*point, gradients=gradients, rng=rng),
        check_delta_gradient(*point, gradient=delta.grad, rng=rng),
    )


def alarms(seeds: range) -> Iterator[str]:
    """A line for each honest gradient that was called wrong."""
    for seed in tqdm(seeds, unit="draw"):
        for name, verdict in zip(("the model", "delta"), verdicts(seed), strict=True):
            if not verdict.agrees:
                yield f"seed {seed}: the gradient of {name}, relative error {verdict.error:.3f}"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.false_alarms", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--count", type=int, default=12_000, help="random models; two gradients each")
    parser.add_argument("--first", type=int, default=0, help="seed of the first")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # as in the child
    found = list(alarms(range(options.first, options.first + options.count)))
    print(*found, sep="\n")
    print(f"{len(found)} of {2 * options.count} honest gradients called wrong")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
