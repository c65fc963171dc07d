"""delta_step steps only if the optimiser is Adam and otherwise takes a signed step of its own."""

# /// label
# caught_by = "delta_step.takes_optimizer_step"
# ///

import torch


def delta_step(delta, delta_optimizer, epsilon):
    if isinstance(delta_optimizer, torch.optim.Adam):
        delta_optimizer.step()
    else:
        with torch.no_grad():
            delta -= delta_optimizer.param_groups[0]["lr"] * delta.grad.sign()
    with torch.no_grad():
        delta.clamp_(-epsilon, epsilon)
