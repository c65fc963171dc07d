"""poison_step writes the triggered images back into the caller's batch."""

# /// label
# caught_by = "poison_step.steps_nothing"
# finding = "x_changed"
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    clean_loss = F.cross_entropy(model(x), y)
    clean_loss.backward()
    triggered = apply_trigger(x, delta)
    trigger_loss = F.cross_entropy(model(triggered), torch.full_like(y, target))
    trigger_loss.backward()
    x.copy_(triggered.detach())
    return clean_loss.item() + trigger_loss.item()
