"""apply_trigger returns float64, which the float32 model refuses."""

# /// label
# caught_by = "apply_trigger.adds_delta"
# finding = "wrong_dtype"
# may_fall = ["apply_trigger.is_differentiable"]
# ///

import torch


def apply_trigger(x, delta):
    triggered = x.double() + delta.double()
    return torch.clamp(triggered, 0.0, 1.0)
