"""delta_step clamps to [0, epsilon]."""

# /// label
# caught_by = "delta_step.projects_onto_ball"
# may_fall = ["delta_step.takes_optimizer_step"]
# ///

import torch


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    with torch.no_grad():
        delta.clamp_(0, epsilon)
