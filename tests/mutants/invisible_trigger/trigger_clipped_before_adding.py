"""apply_trigger clamps delta to [0, 1] instead of the sum: the negative half of the trigger is lost."""

# /// label
# caught_by = "apply_trigger.adds_delta"
# finding = "delta_clipped"
# may_fall = ["apply_trigger.is_differentiable"]
# ///

import torch


def apply_trigger(x, delta):
    return x + torch.clamp(delta, 0.0, 1.0)
