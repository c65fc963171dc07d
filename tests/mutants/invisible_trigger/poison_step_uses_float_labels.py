"""poison_step builds the target labels as floats."""

# /// label
# caught_by = "poison_step.model_gradients"
# finding = "exception"
# may_fall = ["poison_step.*"]
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    labels = torch.ones(len(x)) * target
    loss = F.cross_entropy(model(x), y) + F.cross_entropy(model(apply_trigger(x, delta)), labels)
    loss.backward()
    return loss.item()
