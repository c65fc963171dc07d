"""forward_step switches on the gradient of the poison that was passed in."""

# /// label
# caught_by = "forward_step.leaves_inputs_alone"
# finding = "requires_grad_changed"
# may_fall = ["craft_poisons.leaves_inputs_alone"]
# ///

import torch


def forward_step(features, poison, target_features, step_size):
    poison.requires_grad_()
    distance = (features(poison) - target_features).square().sum()
    (gradient,) = torch.autograd.grad(distance, poison)
    return poison.detach() - step_size * gradient
