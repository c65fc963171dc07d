"""forward_step pulls every image to the target of the first one."""

# /// label
# caught_by = "forward_step.each_image_alone"
# finding = "one_target"
# ///

import torch


def forward_step(features, poison, target_features, step_size):
    x = poison.detach().clone().requires_grad_()
    distance = (features(x) - target_features[0]).square().sum()
    (gradient,) = torch.autograd.grad(distance, x)
    return poison - step_size * gradient
