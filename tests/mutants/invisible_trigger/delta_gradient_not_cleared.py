"""poison_step never clears delta's gradient: the second optimiser's zero_grad is missing."""

# /// label
# caught_by = "poison_step.clears_delta_gradient"
# finding = "accumulated"
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss = loss + F.cross_entropy(model(apply_trigger(x, delta)), torch.full_like(y, target))
    loss.backward()
    return loss.item()
