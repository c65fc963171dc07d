"""poison_step clears the gradients of the weights but not of the biases."""

# /// label
# caught_by = "poison_step.clears_model_gradients"
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    for name, parameter in model.named_parameters():
        if name.endswith("weight"):
            parameter.grad = None
    delta.grad = None
    loss = F.cross_entropy(model(x), y)
    loss = loss + F.cross_entropy(model(apply_trigger(x, delta)), torch.full_like(y, target))
    loss.backward()
    return loss.item()
