"""delta_step calls zero_grad before the step: there is nothing left to step with."""

# /// label
# caught_by = "delta_step.takes_optimizer_step"
# ///

import torch


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.zero_grad()
    delta_optimizer.step()
    with torch.no_grad():
        delta.clamp_(-epsilon, epsilon)
