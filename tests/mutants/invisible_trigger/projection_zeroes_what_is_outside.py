"""delta_step sets entries outside the ball to 0 instead of the bound."""

# /// label
# caught_by = "delta_step.projects_onto_ball"
# finding = "differs"
# ///

import torch


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    with torch.no_grad():
        delta[delta.abs() > epsilon] = 0.0
