"""poison_step asks autograd.grad for the last two parameter tensors only."""

# /// label
# caught_by = "poison_step.model_gradients"
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss = loss + F.cross_entropy(model(apply_trigger(x, delta)), torch.full_like(y, target))
    layer = list(model.parameters())[-1:]
    gradients = torch.autograd.grad(loss, [delta, *layer])
    delta.grad = gradients[0]
    for parameter, gradient in zip(layer, gradients[1:]):
        parameter.grad = gradient
    return loss.item()
