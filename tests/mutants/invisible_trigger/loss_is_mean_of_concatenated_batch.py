"""poison_step puts both halves into one batch and takes the mean over 2N: half of every gradient."""

# /// label
# caught_by = "poison_step.model_gradients"
# finding = "mean_of_terms"
# may_fall = ["poison_step.returns_loss", "poison_step.delta_gradient"]
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    inputs = torch.cat([x, apply_trigger(x, delta)])
    labels = torch.cat([y, torch.full_like(y, target)])
    loss = F.cross_entropy(model(inputs), labels)
    loss.backward()
    return loss.item()
