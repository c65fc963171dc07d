"""poison_step returns the loss times the batch size, as code that sums up an epoch's loss does."""

# /// label
# caught_by = "poison_step.returns_loss"
# finding = "sum_over_batch"
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    loss = F.cross_entropy(model(x), y)
    loss = loss + F.cross_entropy(model(apply_trigger(x, delta)), torch.full_like(y, target))
    loss.backward()
    return loss.item() * len(x)
