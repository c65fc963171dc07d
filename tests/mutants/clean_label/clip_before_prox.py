"""backward_step clips first and pulls then."""

# /// label
# caught_by = "backward_step.clips_to_pixel_range"
# finding = "clipped_first"
# ///

import torch


def backward_step(forward, base, step_size, beta):
    weight = step_size * beta
    return (forward.clamp(0, 1) + weight * base) / (1 + weight)
