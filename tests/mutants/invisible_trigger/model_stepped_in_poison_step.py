"""poison_step takes the model's optimiser step as well."""

# /// label
# caught_by = "poison_step.steps_nothing"
# finding = "parameters_changed"
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    optimizer.zero_grad()
    delta.grad = None
    loss = F.cross_entropy(model(x), y)
    loss = loss + F.cross_entropy(model(apply_trigger(x, delta)), torch.full_like(y, target))
    loss.backward()
    optimizer.step()
    return loss.item()
