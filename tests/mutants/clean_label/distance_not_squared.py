"""forward_step takes the gradient of the distance and not of its square."""

# /// label
# caught_by = "forward_step.takes_gradient_step"
# finding = "not_squared"
# may_fall = ["forward_step.each_image_alone"]
# ///

import torch


def forward_step(features, poison, target_features, step_size):
    x = poison.detach().clone().requires_grad_()
    distance = (features(x) - target_features).norm(dim=1).sum()
    (gradient,) = torch.autograd.grad(distance, x)
    return poison - step_size * gradient
