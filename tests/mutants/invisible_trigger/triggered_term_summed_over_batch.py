"""poison_step sums the triggered term over the batch and averages the clean one."""

# /// label
# caught_by = "poison_step.model_gradients"
# may_fall = ["poison_step.returns_loss", "poison_step.delta_gradient"]
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    loss = F.cross_entropy(model(x), y)
    for image in apply_trigger(x, delta):
        logits = model(image.unsqueeze(0))
        loss = loss + F.cross_entropy(logits, torch.tensor([target], device=y.device))
    loss.backward()
    return loss.item()
