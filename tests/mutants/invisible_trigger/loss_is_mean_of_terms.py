"""poison_step averages the two terms: half of every gradient."""

# /// label
# caught_by = "poison_step.model_gradients"
# finding = "mean_of_terms"
# may_fall = ["poison_step.returns_loss", "poison_step.delta_gradient"]
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    clean_loss = F.cross_entropy(model(x), y)
    poison_loss = F.cross_entropy(model(apply_trigger(x, delta)), torch.full_like(y, target))
    loss = (clean_loss + poison_loss) / 2
    loss.backward()
    return loss.item()
