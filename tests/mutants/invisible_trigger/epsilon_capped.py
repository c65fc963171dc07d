"""delta_step never allows more than 16/255, whatever epsilon says."""

# /// label
# caught_by = "delta_step.honours_epsilon"
# ///

import torch


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    bound = min(epsilon, 16 / 255)
    with torch.no_grad():
        delta.clamp_(-bound, bound)
