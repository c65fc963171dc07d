"""poison_step returns None."""

# /// label
# caught_by = "poison_step.returns_loss"
# finding = "returned_none"
# may_fall = ["outcome.*"]
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    loss = F.cross_entropy(model(x), y)
    loss = loss + F.cross_entropy(model(apply_trigger(x, delta)), torch.full_like(y, target))
    loss.backward()
