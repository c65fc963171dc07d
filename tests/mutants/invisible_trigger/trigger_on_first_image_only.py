"""apply_trigger indexes the batch and so triggers its first image only."""

# /// label
# caught_by = "apply_trigger.adds_delta"
# ///

import torch


def apply_trigger(x, delta):
    triggered = x.clone()
    triggered[0] = triggered[0] + delta[0]
    return torch.clamp(triggered, 0.0, 1.0)
