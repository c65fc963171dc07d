"""delta_step knows Adam and SGD and steps by hand for every other optimiser."""

# /// label
# caught_by = "delta_step.honours_epsilon"
# finding = "other_optimizer"
# ///

import torch


def delta_step(delta, delta_optimizer, epsilon):
    with torch.no_grad():
        if isinstance(delta_optimizer, (torch.optim.Adam, torch.optim.SGD)):
            delta_optimizer.step()
        else:
            delta -= delta_optimizer.param_groups[0]["lr"] * delta.grad
        delta.clamp_(-epsilon, epsilon)
