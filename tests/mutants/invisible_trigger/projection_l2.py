"""delta_step projects onto the L2 ball."""

# /// label
# caught_by = "delta_step.projects_onto_ball"
# finding = "l2_projection"
# may_fall = ["delta_step.takes_optimizer_step"]
# ///

import torch


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    with torch.no_grad():
        norm = delta.norm(p=2)
        if norm > epsilon:
            delta.mul_(epsilon / norm)
