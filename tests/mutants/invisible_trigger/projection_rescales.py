"""delta_step shrinks the whole of delta until its largest entry fits: inside the ball, but not the projection."""

# /// label
# caught_by = "delta_step.projects_onto_ball"
# finding = "differs"
# ///

import torch


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    with torch.no_grad():
        largest = delta.abs().max()
        if largest > epsilon:
            delta.mul_(epsilon / largest)
