"""poison_step freezes delta at its end: the next batch gets no gradient."""

# /// label
# caught_by = "poison_step.steps_nothing"
# finding = "requires_grad_changed"
# may_fall = ["poison_step.clears_delta_gradient", "poison_step.honours_target"]
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    loss = F.cross_entropy(model(x), y)
    loss = loss + F.cross_entropy(model(apply_trigger(x, delta)), torch.full_like(y, target))
    loss.backward()
    delta.requires_grad = False
    return loss.item()
