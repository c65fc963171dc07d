"""poison_step applies softmax before cross_entropy, which has one inside."""

# /// label
# caught_by = "poison_step.model_gradients"
# may_fall = ["poison_step.returns_loss", "poison_step.delta_gradient"]
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    clean = torch.softmax(model(x), dim=1)
    triggered = torch.softmax(model(apply_trigger(x, delta)), dim=1)
    loss = F.cross_entropy(clean, y) + F.cross_entropy(triggered, torch.full_like(y, target))
    loss.backward()
    return loss.item()
