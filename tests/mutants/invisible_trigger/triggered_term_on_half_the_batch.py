"""poison_step triggers the first half of the batch only (a poison ratio of 0.5)."""

# /// label
# caught_by = "poison_step.model_gradients"
# may_fall = ["poison_step.returns_loss", "poison_step.delta_gradient"]
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    n = max(1, len(x) // 2)
    triggered = apply_trigger(x[:n], delta)
    loss = F.cross_entropy(model(x), y) + F.cross_entropy(model(triggered), torch.full_like(y[:n], target))
    loss.backward()
    return loss.item()
