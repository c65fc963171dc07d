"""apply_trigger rounds to 8 bits: values move, and rounding has no gradient."""

# /// label
# caught_by = "apply_trigger.adds_delta"
# ///

import torch


def apply_trigger(x, delta):
    triggered = torch.clamp(x + delta, 0.0, 1.0)
    return torch.round(triggered * 255) / 255
