"""poison_step has no zero_grad at all."""

# /// label
# caught_by = "poison_step.clears_model_gradients"
# finding = "accumulated"
# may_fall = ["poison_step.clears_delta_gradient"]
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    loss = F.cross_entropy(model(x), y)
    loss = loss + F.cross_entropy(model(apply_trigger(x, delta)), torch.full_like(y, target))
    loss.backward()
    return loss.item()
