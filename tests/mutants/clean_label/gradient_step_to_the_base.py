"""backward_step takes a gradient step towards the base instead of the proximal one."""

# /// label
# caught_by = "backward_step.moves_towards_base"
# finding = "explicit_step"
# may_fall = ["backward_step.clips_to_pixel_range"]
# ///

import torch


def backward_step(forward, base, step_size, beta):
    return (forward - step_size * beta * (forward - base)).clamp(0, 1)
