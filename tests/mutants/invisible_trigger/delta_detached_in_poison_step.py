"""poison_step hands a detached delta to apply_trigger."""

# /// label
# caught_by = "poison_step.delta_gradient"
# finding = "missing"
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    triggered = apply_trigger(x, delta.detach())
    loss = F.cross_entropy(model(x), y) + F.cross_entropy(model(triggered), torch.full_like(y, target))
    loss.backward()
    return loss.item()
