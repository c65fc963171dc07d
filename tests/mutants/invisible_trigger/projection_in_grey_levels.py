"""delta_step divides epsilon by 255 once more."""

# /// label
# caught_by = "delta_step.takes_optimizer_step"
# may_fall = ["delta_step.projects_onto_ball"]
# ///

import torch


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    eps = epsilon / 255  # to pixel units
    with torch.no_grad():
        delta.clamp_(-eps, eps)
