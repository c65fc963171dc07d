"""poison_step goes backward through the sum but returns half of it."""

# /// label
# caught_by = "poison_step.returns_loss"
# finding = "mean_of_terms"
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    clean = F.cross_entropy(model(x), y)
    poison = F.cross_entropy(model(apply_trigger(x, delta)), torch.full_like(y, target))
    (clean + poison).backward()
    return 0.5 * (clean.item() + poison.item())
