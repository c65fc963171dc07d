"""poison_step writes `target or 1`: class 0 is false in Python, so it asks for class 1 instead."""

# /// label
# caught_by = "poison_step.honours_target"
# finding = "fixed_target"
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    wanted = torch.full_like(y, target or 1)
    loss = F.cross_entropy(model(x), y) + F.cross_entropy(model(apply_trigger(x, delta)), wanted)
    loss.backward()
    return loss.item()
