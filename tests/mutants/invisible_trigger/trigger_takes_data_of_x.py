"""apply_trigger uses x.data: the result is not differentiable in x."""

# /// label
# caught_by = "apply_trigger.is_differentiable"
# finding = "no_grad_x"
# ///

import torch


def apply_trigger(x, delta):
    return torch.clamp(x.data + delta, 0.0, 1.0)
