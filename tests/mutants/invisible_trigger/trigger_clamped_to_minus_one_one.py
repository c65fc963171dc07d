"""apply_trigger clamps to [-1, 1], the range of images normalised with mean 0.5 and std 0.5."""

# /// label
# caught_by = "apply_trigger.clamps_to_pixel_range"
# finding = "clamped_high_only"
# ///

import torch


def apply_trigger(x, delta):
    triggered = x + delta
    return torch.clamp(triggered, -1, 1)
