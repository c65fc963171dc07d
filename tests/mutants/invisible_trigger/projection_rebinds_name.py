"""delta_step assigns the clamped tensor to its local name: the caller's delta is never projected."""

# /// label
# caught_by = "delta_step.projects_onto_ball"
# finding = "not_projected"
# may_fall = ["delta_step.keeps_leaf"]
# ///

import torch


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    delta = torch.clamp(delta, -epsilon, epsilon)
