"""poison_step smooths the labels."""

# /// label
# caught_by = "poison_step.model_gradients"
# may_fall = ["poison_step.returns_loss", "poison_step.delta_gradient"]
# ///

import torch
import torch.nn as nn


def poison_step(model, delta, x, y, target):
    loss_fn = nn.CrossEntropyLoss(label_smoothing=0.1)
    model.zero_grad()
    delta.grad = None
    loss = loss_fn(model(x), y) + loss_fn(model(apply_trigger(x, delta)), torch.full_like(y, target))
    loss.backward()
    return loss.item()
