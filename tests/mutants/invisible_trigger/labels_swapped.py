"""poison_step swaps the labels of the two terms."""

# /// label
# caught_by = "poison_step.model_gradients"
# may_fall = ["poison_step.returns_loss", "poison_step.delta_gradient"]
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    target_labels = torch.full_like(y, target)
    loss = F.cross_entropy(model(x), target_labels) + F.cross_entropy(model(apply_trigger(x, delta)), y)
    loss.backward()
    return loss.item()
