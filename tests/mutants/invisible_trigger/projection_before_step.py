"""delta_step projects first and steps afterwards."""

# /// label
# caught_by = "delta_step.projects_onto_ball"
# finding = "projected_before_step"
# ///

import torch


def delta_step(delta, delta_optimizer, epsilon):
    with torch.no_grad():
        delta.clamp_(-epsilon, epsilon)
    delta_optimizer.step()
