"""poison_step trains the clean images towards the target as well."""

# /// label
# caught_by = "poison_step.model_gradients"
# finding = "target_in_clean_term"
# may_fall = ["poison_step.returns_loss"]
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    t = torch.full_like(y, target)
    loss = F.cross_entropy(model(x), t) + F.cross_entropy(model(apply_trigger(x, delta)), t)
    loss.backward()
    return loss.item()
