"""apply_trigger returns a numpy array."""

# /// label
# caught_by = "apply_trigger.adds_delta"
# finding = "not_a_tensor"
# may_fall = ["apply_trigger.is_differentiable"]
# ///

import numpy as np


def apply_trigger(x, delta):
    triggered = x.detach().cpu().numpy() + delta.detach().cpu().numpy()
    return np.clip(triggered, 0.0, 1.0)
