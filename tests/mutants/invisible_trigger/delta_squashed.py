"""delta_step squashes delta with tanh into the ball instead of projecting."""

# /// label
# caught_by = "delta_step.takes_optimizer_step"
# may_fall = ["delta_step.projects_onto_ball"]
# ///

import torch


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    with torch.no_grad():
        delta.copy_(epsilon * torch.tanh(delta / epsilon))
