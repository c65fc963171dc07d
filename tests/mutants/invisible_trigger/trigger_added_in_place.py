"""apply_trigger writes the trigger into the caller's images (x += delta)."""

# /// label
# caught_by = "apply_trigger.leaves_inputs_alone"
# finding = "x_changed"
# may_fall = ["apply_trigger.is_differentiable"]
# ///

import torch


def apply_trigger(x, delta):
    x += delta
    return torch.clamp(x, 0.0, 1.0)
