"""backward_step clips to the range of normalised pixels."""

# /// label
# caught_by = "backward_step.clips_to_pixel_range"
# ///

import torch


def backward_step(forward, base, step_size, beta):
    weight = step_size * beta
    return ((forward + weight * base) / (1 + weight)).clamp(-1, 1)
