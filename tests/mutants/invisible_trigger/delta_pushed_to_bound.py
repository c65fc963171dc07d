"""delta_step sets every entry to plus or minus epsilon."""

# /// label
# caught_by = "delta_step.takes_optimizer_step"
# ///

import torch


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    with torch.no_grad():
        delta.copy_(epsilon * torch.sign(delta))
