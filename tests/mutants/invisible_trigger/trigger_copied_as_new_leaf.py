"""apply_trigger returns a fresh leaf that requires grad: gradients end there."""

# /// label
# caught_by = "apply_trigger.is_differentiable"
# ///

import torch


def apply_trigger(x, delta):
    triggered = torch.clamp(x + delta, 0.0, 1.0)
    return torch.tensor(triggered.tolist(), requires_grad=True)
