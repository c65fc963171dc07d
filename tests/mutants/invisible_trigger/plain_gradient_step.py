"""delta_step takes a plain gradient step with the optimiser's learning rate instead of the optimiser's step."""

# /// label
# caught_by = "delta_step.takes_optimizer_step"
# finding = "plain_gradient_step"
# ///

import torch


def delta_step(delta, delta_optimizer, epsilon):
    lr = delta_optimizer.param_groups[0]["lr"]
    with torch.no_grad():
        delta -= lr * delta.grad
        delta.clamp_(-epsilon, epsilon)
