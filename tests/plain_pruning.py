"""Fine-Pruning's two functions, as plain as can be, for tests of what is around them."""

import torch
from torch import Tensor


class Pruning:
    """A plain pair of functions, to drive the experiment with."""

    def rank_neurons(self, incoming: Tensor, activations: Tensor, rule: str) -> Tensor:
        score = -incoming.abs().sum(1) if rule == "largest-weight" else activations.mean(0)
        return score.argsort()

    def prune_and_compress(
        self, w_in: Tensor, b_in: Tensor, w_out: Tensor, neurons: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        keep = torch.ones(len(b_in), dtype=torch.bool)
        keep[neurons] = False
        return w_in[keep], b_in[keep], w_out[:, keep]
