"""poison_step casts the model to float64 and leaves it so."""

# /// label
# caught_by = "poison_step.steps_nothing"
# finding = "parameters_changed"
# may_fall = ["poison_step.*"]
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.double()
    model.zero_grad()
    delta.grad = None
    loss = F.cross_entropy(model(x.double()), y)
    loss = loss + F.cross_entropy(model(apply_trigger(x, delta).double()), torch.full_like(y, target))
    loss.backward()
    return loss.item()
