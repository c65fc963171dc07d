"""poison_step has the triggered term alone."""

# /// label
# caught_by = "poison_step.model_gradients"
# finding = "triggered_term_only"
# may_fall = ["poison_step.returns_loss"]
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    loss = F.cross_entropy(model(apply_trigger(x, delta)), torch.full_like(y, target))
    loss.backward()
    return loss.item()
