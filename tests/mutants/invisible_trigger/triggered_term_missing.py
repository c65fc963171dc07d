"""poison_step has the clean term alone."""

# /// label
# caught_by = "poison_step.model_gradients"
# finding = "clean_term_only"
# may_fall = ["poison_step.returns_loss", "poison_step.delta_gradient"]
# ///

import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    return loss.item()
