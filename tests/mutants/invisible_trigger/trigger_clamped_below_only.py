"""apply_trigger cuts at 0 (a ReLU) but lets pixels go above 1."""

# /// label
# caught_by = "apply_trigger.clamps_to_pixel_range"
# finding = "clamped_low_only"
# ///

import torch.nn.functional as F


def apply_trigger(x, delta):
    return F.relu(x + delta)
