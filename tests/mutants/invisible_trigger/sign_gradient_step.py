"""delta_step takes a PGD step, learning rate times the sign of the gradient; Adam's first step looks just like it."""

# /// label
# caught_by = "delta_step.takes_optimizer_step"
# ///

import torch


def delta_step(delta, delta_optimizer, epsilon):
    step_size = delta_optimizer.param_groups[0]["lr"]
    with torch.no_grad():
        delta -= step_size * delta.grad.sign()
        delta.clamp_(-epsilon, epsilon)
