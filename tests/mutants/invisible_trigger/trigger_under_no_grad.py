"""apply_trigger runs under torch.no_grad()."""

# /// label
# caught_by = "apply_trigger.is_differentiable"
# ///

import torch


@torch.no_grad()
def apply_trigger(x, delta):
    return torch.clamp(x + delta, 0.0, 1.0)
