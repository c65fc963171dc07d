"""poison_step never clears the model's gradients."""

# /// label
# caught_by = "poison_step.clears_model_gradients"
# finding = "accumulated"
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    delta.grad = None
    loss = F.cross_entropy(model(x), y)
    loss = loss + F.cross_entropy(model(apply_trigger(x, delta)), torch.full_like(y, target))
    loss.backward()
    return loss.item()
