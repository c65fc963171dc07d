"""apply_trigger adds the mean of delta to every pixel."""

# /// label
# caught_by = "apply_trigger.adds_delta"
# ///

import torch


def apply_trigger(x, delta):
    return torch.clamp(x + delta.mean(), 0.0, 1.0)
