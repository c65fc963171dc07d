"""delta_step scales the projected values by a factor that requires grad: delta is no leaf any more."""

# /// label
# caught_by = "delta_step.keeps_leaf"
# finding = "not_leaf"
# ///

import torch


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    bound = torch.tensor(float(epsilon), requires_grad=True)
    delta.detach_()
    delta.copy_(torch.maximum(torch.minimum(delta, bound), -bound))
