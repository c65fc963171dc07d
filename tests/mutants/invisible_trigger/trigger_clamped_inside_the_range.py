"""apply_trigger clamps to [0.05, 0.95] "to be safe"."""

# /// label
# caught_by = "apply_trigger.clamps_to_pixel_range"
# finding = "wrong_range"
# ///

import torch


def apply_trigger(x, delta):
    return torch.clamp(x + delta, 0.05, 0.95)
