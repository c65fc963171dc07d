"""forward_step subtracts from the copy that requires a gradient, so its graph hangs on the result."""

# /// label
# caught_by = "forward_step.returns_no_graph"
# finding = "has_graph"
# ///

import torch


def forward_step(features, poison, target_features, step_size):
    x = poison.detach().clone().requires_grad_()
    distance = (features(x) - target_features).square().sum()
    (gradient,) = torch.autograd.grad(distance, x)
    return x - step_size * gradient
