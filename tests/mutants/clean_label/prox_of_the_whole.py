"""backward_step minimises beta |x - b|^2, without the one half."""

# /// label
# caught_by = "backward_step.moves_towards_base"
# finding = "half_forgotten"
# may_fall = ["backward_step.clips_to_pixel_range"]
# ///

import torch


def backward_step(forward, base, step_size, beta):
    weight = 2 * step_size * beta
    return ((forward + weight * base) / (1 + weight)).clamp(0, 1)
