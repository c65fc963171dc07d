"""forward_step averages the distances over the batch before it takes the gradient."""

# /// label
# caught_by = "forward_step.each_image_alone"
# finding = "averaged_batch"
# ///

import torch


def forward_step(features, poison, target_features, step_size):
    x = poison.detach().clone().requires_grad_()
    distance = (features(x) - target_features).square().sum(1).mean()
    (gradient,) = torch.autograd.grad(distance, x)
    return poison - step_size * gradient
