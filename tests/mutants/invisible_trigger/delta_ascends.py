"""delta_step climbs the loss: it flips the gradient before the step."""

# /// label
# caught_by = "delta_step.takes_optimizer_step"
# finding = "ascended"
# ///

import torch


def delta_step(delta, delta_optimizer, epsilon):
    delta.grad = -delta.grad
    delta_optimizer.step()
    with torch.no_grad():
        delta.clamp_(-epsilon, epsilon)
