"""poison_step flips delta's gradient, to "maximise" over delta as adversarial training does."""

# /// label
# caught_by = "poison_step.delta_gradient"
# finding = "wrong_sign"
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    loss = F.cross_entropy(model(x), y)
    loss = loss + F.cross_entropy(model(apply_trigger(x, delta)), torch.full_like(y, target))
    loss.backward()
    delta.grad.neg_()
    return loss.item()
