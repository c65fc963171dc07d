"""poison_step clips the gradient norm of the model to 0.1."""

# /// label
# caught_by = "poison_step.model_gradients"
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    loss = F.cross_entropy(model(x), y)
    loss = loss + F.cross_entropy(model(apply_trigger(x, delta)), torch.full_like(y, target))
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
    return loss.item()
