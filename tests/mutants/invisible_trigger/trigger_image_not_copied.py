"""apply_trigger fills the images one by one in what it takes for a copy; the tensor is the caller's."""

# /// label
# caught_by = "apply_trigger.leaves_inputs_alone"
# finding = "x_changed"
# may_fall = ["apply_trigger.is_differentiable"]
# ///

import torch


def apply_trigger(x, delta):
    triggered = x
    for i in range(len(x)):
        triggered[i] = torch.clamp(x[i] + delta[0], 0.0, 1.0)
    return triggered
