"""poison_step weighs the triggered term with lambda = 0.5."""

# /// label
# caught_by = "poison_step.model_gradients"
# may_fall = ["poison_step.returns_loss", "poison_step.delta_gradient"]
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target, lam=0.5):
    model.zero_grad()
    delta.grad = None
    t = torch.full_like(y, target)
    loss = F.cross_entropy(model(x), y) + lam * F.cross_entropy(model(apply_trigger(x, delta)), t)
    loss.backward()
    return loss.item()
