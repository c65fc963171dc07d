"""delta_step projects but never steps."""

# /// label
# caught_by = "delta_step.takes_optimizer_step"
# finding = "not_moved"
# may_fall = ["delta_step.honours_epsilon"]
# ///

import torch


def delta_step(delta, delta_optimizer, epsilon):
    with torch.no_grad():
        delta.clamp_(-epsilon, epsilon)
