"""apply_trigger detaches delta: no gradient reaches it."""

# /// label
# caught_by = "apply_trigger.is_differentiable"
# finding = "no_grad_delta"
# ///

import torch


def apply_trigger(x, delta):
    return torch.clamp(x + delta.detach(), 0.0, 1.0)
