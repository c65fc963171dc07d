"""poison_step leaves the images of the target class out of the triggered term; the equation sums over all."""

# /// label
# caught_by = "poison_step.model_gradients"
# may_fall = ["poison_step.returns_loss", "poison_step.delta_gradient"]
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    others = x[y != target]
    labels = torch.full((len(others),), target, dtype=torch.long, device=x.device)
    loss = F.cross_entropy(model(x), y) + F.cross_entropy(model(apply_trigger(others, delta)), labels)
    loss.backward()
    return loss.item()
