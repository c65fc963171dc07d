"""apply_trigger normalises the image as well; the model does that itself."""

# /// label
# caught_by = "apply_trigger.adds_delta"
# ///

import torch

MEAN, STD = 0.1307, 0.3081


def apply_trigger(x, delta):
    triggered = torch.clamp(x + delta, 0.0, 1.0)
    return (triggered - MEAN) / STD
