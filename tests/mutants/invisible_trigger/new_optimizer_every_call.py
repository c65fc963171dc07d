"""delta_step makes a new Adam at every call: its moments are forgotten."""

# /// label
# caught_by = "delta_step.takes_optimizer_step"
# may_fall = ["delta_step.projects_onto_ball"]
# ///

import torch


def delta_step(delta, delta_optimizer, epsilon):
    optimizer = torch.optim.Adam([delta], lr=delta_optimizer.param_groups[0]["lr"])
    optimizer.step()
    with torch.no_grad():
        delta.clamp_(-epsilon, epsilon)
