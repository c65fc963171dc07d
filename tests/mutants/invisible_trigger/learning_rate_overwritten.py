"""delta_step sets the optimiser's learning rate to epsilon / 4."""

# /// label
# caught_by = "delta_step.takes_optimizer_step"
# ///

import torch


def delta_step(delta, delta_optimizer, epsilon):
    for group in delta_optimizer.param_groups:
        group["lr"] = epsilon / 4
    delta_optimizer.step()
    with torch.no_grad():
        delta.clamp_(-epsilon, epsilon)
