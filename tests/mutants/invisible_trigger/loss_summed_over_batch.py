"""poison_step sums over the batch instead of averaging."""

# /// label
# caught_by = "poison_step.model_gradients"
# finding = "sum_over_batch"
# may_fall = ["poison_step.returns_loss", "poison_step.delta_gradient"]
# ///

import torch
import torch.nn as nn

criterion = nn.CrossEntropyLoss(reduction="sum")


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    loss = criterion(model(x), y) + criterion(model(apply_trigger(x, delta)), torch.full_like(y, target))
    loss.backward()
    return loss.item()
