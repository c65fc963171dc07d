"""Adam with a cosine schedule, for the grader's own loop: the same numbers as ``torch.optim``, without its start-up.

The first ``torch.optim.Optimizer`` of a process imports PyTorch's compiler, which nothing here uses: about 1.9 s and
80 MiB more in every grading. The arithmetic is ``torch.optim.adam.adam``, which the class itself calls.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim.adam import adam


class Adam:
    """Adam (Kingma & Ba 2015, algorithm 1) on ``parameters``, in place; a parameter without gradient stays as it is.

    Attributes:
        lr: the learning rate of the next step.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        self.lr = lr
        self._betas = betas
        self._eps = eps
        self._parameters = list(parameters)
        self._means = [torch.zeros_like(p) for p in self._parameters]
        self._squares = [torch.zeros_like(p) for p in self._parameters]
        self._steps = [torch.tensor(0.0) for _ in self._parameters]

    @torch.no_grad()
    def step(self) -> None:
        """One update from the gradients in ``p.grad``."""
        found = [i for i, p in enumerate(self._parameters) if p.grad is not None]
        # Not fused: a fused Adam reads a gradient of another memory layout than its parameter's in the wrong order.
        adam(
            [self._parameters[i] for i in found], [g for p in self._parameters if (g := p.grad) is not None],
            [self._means[i] for i in found], [self._squares[i] for i in found], [],
            [self._steps[i] for i in found],
            foreach=True, amsgrad=False, beta1=self._betas[0], beta2=self._betas[1], lr=self.lr, weight_decay=0.0,
            eps=self._eps, maximize=False,
        )  # fmt: skip


class CosineSchedule:
    """Lets ``optimizer.lr`` fall to 0 over ``steps`` steps, along half a cosine (Loshchilov & Hutter 2017)."""

    def __init__(self, optimizer: Adam, steps: int) -> None:
        self._optimizer = optimizer
        self._steps = steps
        self._done = 0

    def step(self) -> None:
        """Set the learning rate of the next step."""
        before = 1 + math.cos(math.pi * self._done / self._steps)
        self._done += 1
        # from the rate before, as torch.optim.lr_scheduler.CosineAnnealingLR: equal to the last bit
        self._optimizer.lr *= (1 + math.cos(math.pi * self._done / self._steps)) / before
