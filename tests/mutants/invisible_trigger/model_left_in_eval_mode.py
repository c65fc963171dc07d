"""poison_step switches the model to eval mode and leaves it there."""

# /// label
# caught_by = "poison_step.steps_nothing"
# finding = "mode_changed"
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.eval()
    model.zero_grad()
    delta.grad = None
    loss = F.cross_entropy(model(x), y)
    loss = loss + F.cross_entropy(model(apply_trigger(x, delta)), torch.full_like(y, target))
    loss.backward()
    return loss.item()
