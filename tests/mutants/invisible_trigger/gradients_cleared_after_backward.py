"""poison_step calls zero_grad after backward instead of before: the model's gradients are gone."""

# /// label
# caught_by = "poison_step.model_gradients"
# finding = "missing"
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    delta.grad = None
    loss = F.cross_entropy(model(x), y)
    loss = loss + F.cross_entropy(model(apply_trigger(x, delta)), torch.full_like(y, target))
    loss.backward()
    model.zero_grad()
    return loss.item()
