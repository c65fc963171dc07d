"""apply_trigger projects the caller's delta onto the ball while it is at it."""

# /// label
# caught_by = "apply_trigger.leaves_inputs_alone"
# finding = "delta_changed"
# ///

import torch

EPSILON = 8 / 255


def apply_trigger(x, delta):
    triggered = torch.clamp(x + delta, 0.0, 1.0)
    delta.data.clamp_(-EPSILON, EPSILON)  # keep the trigger invisible
    return triggered
