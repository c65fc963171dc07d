"""delta_step normalises the gradient before the step; Adam hardly notices, other optimisers do."""

# /// label
# caught_by = "delta_step.takes_optimizer_step"
# ///

import torch


def delta_step(delta, delta_optimizer, epsilon):
    delta.grad = delta.grad / delta.grad.norm()
    delta_optimizer.step()
    with torch.no_grad():
        delta.clamp_(-epsilon, epsilon)
