"""delta_step makes a fresh optimiser of the same kind at every call: Adam's moments and SGD's momentum start anew."""

# /// label
# caught_by = "delta_step.takes_optimizer_step"
# ///

import torch


def delta_step(delta, delta_optimizer, epsilon):
    fresh = type(delta_optimizer)([delta], lr=delta_optimizer.param_groups[0]["lr"])
    fresh.step()
    with torch.no_grad():
        delta.clamp_(-epsilon, epsilon)
