"""delta_step bounds delta from above only."""

# /// label
# caught_by = "delta_step.projects_onto_ball"
# finding = "one_sided"
# ///

import torch


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    with torch.no_grad():
        delta.clamp_(max=epsilon)
