"""apply_trigger mixes image and trigger half and half, as the blended attack does."""

# /// label
# caught_by = "apply_trigger.adds_delta"
# ///

import torch


def apply_trigger(x, delta):
    alpha = 0.5
    return torch.clamp((1 - alpha) * x + alpha * delta, 0.0, 1.0)
