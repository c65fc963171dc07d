"""apply_trigger never uses delta."""

# /// label
# caught_by = "apply_trigger.adds_delta"
# finding = "delta_ignored"
# may_fall = ["apply_trigger.is_differentiable"]
# ///

import torch


def apply_trigger(x, delta):
    x_triggered = x.clone()
    return torch.clamp(x_triggered, 0.0, 1.0)
