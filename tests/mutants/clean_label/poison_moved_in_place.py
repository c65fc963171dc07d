"""forward_step moves the poison that was passed in."""

# /// label
# caught_by = "forward_step.leaves_inputs_alone"
# finding = "argument_changed"
# ///

import torch


def forward_step(features, poison, target_features, step_size):
    x = poison.detach().clone().requires_grad_()
    distance = (features(x) - target_features).square().sum()
    (gradient,) = torch.autograd.grad(distance, x)
    poison -= step_size * gradient
    return poison.clone()
