"""apply_trigger subtracts delta, as an untargeted attack's notation suggests."""

# /// label
# caught_by = "apply_trigger.adds_delta"
# finding = "subtracted"
# may_fall = ["apply_trigger.is_differentiable"]
# ///

import torch


def apply_trigger(x, delta):
    return torch.clamp(x - delta, 0.0, 1.0)
