"""poison_step scales delta's gradient by the batch size, "to undo the mean"."""

# /// label
# caught_by = "poison_step.delta_gradient"
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
    delta.grad *= len(x)
    return loss.item()
