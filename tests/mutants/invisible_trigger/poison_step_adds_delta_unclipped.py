"""poison_step adds delta by hand and forgets the clipping: right on every pixel that stays in [0, 1]."""

# /// label
# caught_by = "poison_step.delta_gradient"
# finding = "not_clipped"
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    loss = F.cross_entropy(model(x), y) + F.cross_entropy(model(x + delta), torch.full_like(y, target))
    loss.backward()
    return loss.item()
