"""backward_step computes in the base that was passed in."""

# /// label
# caught_by = "backward_step.leaves_inputs_alone"
# finding = "argument_changed"
# ///

import torch


def backward_step(forward, base, step_size, beta):
    weight = step_size * beta
    base *= weight
    return ((forward + base) / (1 + weight)).clamp(0, 1)
