"""forward_step clips its result to the pixel range."""

# /// label
# caught_by = "forward_step.takes_gradient_step"
# finding = "clipped"
# may_fall = ["forward_step.each_image_alone"]
# ///

import torch


def forward_step(features, poison, target_features, step_size):
    x = poison.detach().clone().requires_grad_()
    distance = (features(x) - target_features).square().sum()
    (gradient,) = torch.autograd.grad(distance, x)
    return (poison - step_size * gradient).clamp(0, 1)
