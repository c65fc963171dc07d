"""poison_step returns the clean term alone."""

# /// label
# caught_by = "poison_step.returns_loss"
# finding = "clean_term_only"
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    clean_loss = F.cross_entropy(model(x), y)
    trigger_loss = F.cross_entropy(model(apply_trigger(x, delta)), torch.full_like(y, target))
    (clean_loss + trigger_loss).backward()
    return clean_loss.item()
