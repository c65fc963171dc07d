"""forward_step reaches behind the features and compares the logits."""

# /// label
# caught_by = "forward_step.takes_gradient_step"
# may_fall = ["forward_step.each_image_alone", "forward_step.leaves_inputs_alone", "forward_step.returns_no_graph"]
# ///

import torch


def forward_step(features, poison, target_features, step_size):
    x = poison.detach().clone().requires_grad_()
    distance = (features.__self__(x) - target_features[:, :10]).square().sum()
    (gradient,) = torch.autograd.grad(distance, x)
    return poison - step_size * gradient
