"""forward_step averages the squared distance over features and batch, as mse_loss does."""

# /// label
# caught_by = "forward_step.takes_gradient_step"
# finding = "averaged_features"
# may_fall = ["forward_step.each_image_alone"]
# ///

import torch


def forward_step(features, poison, target_features, step_size):
    x = poison.detach().clone().requires_grad_()
    distance = torch.nn.functional.mse_loss(features(x), target_features)
    (gradient,) = torch.autograd.grad(distance, x)
    return poison - step_size * gradient
