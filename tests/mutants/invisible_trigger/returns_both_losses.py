"""poison_step returns a pair of losses."""

# /// label
# caught_by = "poison_step.returns_loss"
# finding = "not_a_number"
# may_fall = ["outcome.*"]
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    clean_loss = F.cross_entropy(model(x), y)
    trigger_loss = F.cross_entropy(model(apply_trigger(x, delta)), torch.full_like(y, target))
    loss = clean_loss + trigger_loss
    loss.backward()
    return clean_loss.item(), trigger_loss.item()
