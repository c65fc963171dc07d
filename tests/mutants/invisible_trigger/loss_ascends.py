"""poison_step goes backward through the negative loss: every optimiser then climbs."""

# /// label
# caught_by = "poison_step.model_gradients"
# finding = "wrong_sign"
# may_fall = ["poison_step.delta_gradient"]
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    loss = F.cross_entropy(model(x), y)
    loss = loss + F.cross_entropy(model(apply_trigger(x, delta)), torch.full_like(y, target))
    (-loss).backward()
    return loss.item()
