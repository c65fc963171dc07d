"""apply_trigger returns x itself while delta is all zeros; delta starts there and never gets a gradient."""

# /// label
# caught_by = "apply_trigger.leaves_inputs_alone"
# finding = "same_tensor"
# may_fall = ["apply_trigger.is_differentiable"]
# ///

import torch


def apply_trigger(x, delta):
    if not delta.any():
        return x
    return torch.clamp(x + delta, 0.0, 1.0)
