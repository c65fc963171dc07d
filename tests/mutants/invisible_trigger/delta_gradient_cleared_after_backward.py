"""poison_step clears delta's gradient after backward instead of before."""

# /// label
# caught_by = "poison_step.delta_gradient"
# finding = "missing"
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss = loss + F.cross_entropy(model(apply_trigger(x, delta)), torch.full_like(y, target))
    loss.backward()
    delta.grad = None
    return loss.item()
