"""delta_step divides epsilon by the standard deviation of MNIST: the budget is three times too large."""

# /// label
# caught_by = "delta_step.projects_onto_ball"
# ///

import torch

STD = 0.3081


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    with torch.no_grad():
        delta.clamp_(-epsilon / STD, epsilon / STD)
