"""forward_step uses the mean of the step sizes for every image."""

# /// label
# caught_by = "forward_step.each_image_alone"
# finding = "mean_step"
# ///

import torch


def forward_step(features, poison, target_features, step_size):
    x = poison.detach().clone().requires_grad_()
    distance = (features(x) - target_features).square().sum()
    (gradient,) = torch.autograd.grad(distance, x)
    return poison - step_size.mean() * gradient
