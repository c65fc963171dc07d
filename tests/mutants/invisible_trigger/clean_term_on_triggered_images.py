"""poison_step overwrites x with the triggered images before the clean term."""

# /// label
# caught_by = "poison_step.model_gradients"
# may_fall = ["poison_step.returns_loss", "poison_step.delta_gradient"]
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    x = apply_trigger(x, delta)
    logits = model(x)
    loss = F.cross_entropy(logits, y) + F.cross_entropy(logits, torch.full_like(y, target))
    loss.backward()
    return loss.item()
