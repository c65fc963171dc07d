"""apply_trigger adds delta twice: once by hand and once in the return."""

# /// label
# caught_by = "apply_trigger.adds_delta"
# finding = "scaled"
# ///

import torch


def apply_trigger(x, delta):
    triggered = x + delta
    return torch.clamp(triggered + delta, 0.0, 1.0)
