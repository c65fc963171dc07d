"""backward_step does not clip."""

# /// label
# caught_by = "backward_step.clips_to_pixel_range"
# finding = "not_clipped"
# ///

import torch


def backward_step(forward, base, step_size, beta):
    weight = step_size * beta
    return (forward + weight * base) / (1 + weight)
