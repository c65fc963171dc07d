"""poison_step moves everything to "cuda" without looking at where its inputs are."""

# /// label
# caught_by = "poison_step.model_gradients"
# finding = "exception"
# may_fall = ["poison_step.*"]
# ///

import torch
import torch.nn.functional as F

device = "cuda"


def poison_step(model, delta, x, y, target):
    x, y = x.to(device), y.to(device)
    model.zero_grad()
    delta.grad = None
    loss = F.cross_entropy(model(x), y)
    loss = loss + F.cross_entropy(model(apply_trigger(x, delta)), torch.full_like(y, target))
    loss.backward()
    return loss.item()
