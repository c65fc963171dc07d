"""poison_step runs the triggered forward under torch.no_grad(), to save time."""

# /// label
# caught_by = "poison_step.model_gradients"
# finding = "clean_term_only"
# may_fall = ["poison_step.delta_gradient"]
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    with torch.no_grad():
        triggered_logits = model(apply_trigger(x, delta))
    loss = F.cross_entropy(model(x), y) + F.cross_entropy(triggered_logits, torch.full_like(y, target))
    loss.backward()
    return loss.item()
