"""apply_trigger caps at 1 but lets pixels go below 0."""

# /// label
# caught_by = "apply_trigger.clamps_to_pixel_range"
# finding = "clamped_high_only"
# ///

import torch


def apply_trigger(x, delta):
    return torch.clamp(x + delta, max=1.0)
