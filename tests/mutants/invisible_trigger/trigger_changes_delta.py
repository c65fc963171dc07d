"""apply_trigger rounds the caller's delta to grey levels before it adds it."""

# /// label
# caught_by = "apply_trigger.leaves_inputs_alone"
# finding = "delta_changed"
# may_fall = ["apply_trigger.adds_delta", "apply_trigger.clamps_to_pixel_range"]
# ///

import torch


def apply_trigger(x, delta):
    delta.data = torch.round(delta.data * 255) / 255
    return torch.clamp(x + delta, 0.0, 1.0)
