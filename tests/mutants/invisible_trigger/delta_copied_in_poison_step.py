"""poison_step works on a copy of delta: the caller's tensor gets no gradient."""

# /// label
# caught_by = "poison_step.delta_gradient"
# finding = "missing"
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    delta = delta.clone().detach().requires_grad_(True)
    triggered = apply_trigger(x, delta)
    loss = F.cross_entropy(model(x), y) + F.cross_entropy(model(triggered), torch.full_like(y, target))
    loss.backward()
    return loss.item()
