"""apply_trigger forgets its return."""

# /// label
# caught_by = "apply_trigger.adds_delta"
# finding = "returned_none"
# may_fall = ["apply_trigger.is_differentiable"]
# ///

import torch


def apply_trigger(x, delta):
    triggered = torch.clamp(x + delta, 0.0, 1.0)
