"""backward_step forgets to divide by the sum of the weights."""

# /// label
# caught_by = "backward_step.moves_towards_base"
# finding = "not_divided"
# may_fall = ["backward_step.clips_to_pixel_range"]
# ///

import torch


def backward_step(forward, base, step_size, beta):
    return (forward + step_size * beta * base).clamp(0, 1)
