"""poison_step also moves delta against its gradient."""

# /// label
# caught_by = "poison_step.steps_nothing"
# finding = "delta_changed"
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    loss = F.cross_entropy(model(x), y)
    loss = loss + F.cross_entropy(model(apply_trigger(x, delta)), torch.full_like(y, target))
    loss.backward()
    with torch.no_grad():
        delta -= 0.01 * delta.grad.sign()
    return loss.item()
