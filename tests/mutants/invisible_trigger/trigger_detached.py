"""apply_trigger detaches its result."""

# /// label
# caught_by = "apply_trigger.is_differentiable"
# ///

import torch


def apply_trigger(x, delta):
    x_triggered = torch.clamp(x + delta, 0.0, 1.0)
    return x_triggered.detach()
