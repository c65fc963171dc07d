"""poison_step freezes the model's parameters at its end and never thaws them."""

# /// label
# caught_by = "poison_step.steps_nothing"
# finding = "requires_grad_changed"
# may_fall = ["poison_step.clears_model_gradients", "poison_step.honours_target"]
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    loss = F.cross_entropy(model(x), y)
    loss = loss + F.cross_entropy(model(apply_trigger(x, delta)), torch.full_like(y, target))
    loss.backward()
    for parameter in model.parameters():
        parameter.requires_grad_(False)  # only delta moves from here on
    return loss.item()
