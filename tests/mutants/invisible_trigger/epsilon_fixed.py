"""delta_step always projects with 8/255, a constant of the file."""

# /// label
# caught_by = "delta_step.honours_epsilon"
# finding = "fixed_epsilon"
# ///

import torch

EPSILON = 8 / 255


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    with torch.no_grad():
        delta.clamp_(-EPSILON, EPSILON)
