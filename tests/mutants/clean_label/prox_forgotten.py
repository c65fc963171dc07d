"""backward_step only clips: nothing pulls the poison to its base."""

# /// label
# caught_by = "backward_step.moves_towards_base"
# finding = "not_pulled"
# may_fall = ["backward_step.clips_to_pixel_range"]
# ///

import torch


def backward_step(forward, base, step_size, beta):
    return forward.clamp(0, 1)
