"""delta_step sets the optimiser's `maximize` flag."""

# /// label
# caught_by = "delta_step.takes_optimizer_step"
# finding = "ascended"
# ///

import torch


def delta_step(delta, delta_optimizer, epsilon):
    for group in delta_optimizer.param_groups:
        group["maximize"] = True
    delta_optimizer.step()
    with torch.no_grad():
        delta.clamp_(-epsilon, epsilon)
