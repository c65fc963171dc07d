"""apply_trigger passes the bounds of clamp in the wrong order: every pixel becomes 0."""

# /// label
# caught_by = "apply_trigger.adds_delta"
# ///

import torch


def apply_trigger(x, delta):
    return torch.clamp(x + delta, 1.0, 0.0)
