"""poison_step always uses class 7 as target, a constant of the file."""

# /// label
# caught_by = "poison_step.honours_target"
# finding = "fixed_target"
# ///

import torch
import torch.nn.functional as F

TARGET = 7


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    loss = F.cross_entropy(model(x), y)
    loss = loss + F.cross_entropy(model(apply_trigger(x, delta)), torch.full_like(y, TARGET))
    loss.backward()
    return loss.item()
