"""delta_step clamps delta to [0, 1], as if it were an image."""

# /// label
# caught_by = "delta_step.projects_onto_ball"
# finding = "projected_to_pixel_range"
# may_fall = ["delta_step.takes_optimizer_step"]
# ///

import torch


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    with torch.no_grad():
        delta.clamp_(0.0, 1.0)
