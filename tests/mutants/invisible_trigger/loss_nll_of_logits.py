"""poison_step takes nll_loss of raw logits: the log-softmax is missing."""

# /// label
# caught_by = "poison_step.model_gradients"
# may_fall = ["poison_step.returns_loss", "poison_step.delta_gradient"]
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    loss = F.nll_loss(model(x), y)
    loss = loss + F.nll_loss(model(apply_trigger(x, delta)), torch.full_like(y, target))
    loss.backward()
    return loss.item()
