"""apply_trigger squeezes the channel away: (N, 1, H, W) becomes (N, H, W)."""

# /// label
# caught_by = "apply_trigger.adds_delta"
# finding = "wrong_shape"
# ///

import torch


def apply_trigger(x, delta):
    return torch.clamp(x + delta, 0.0, 1.0).squeeze()
