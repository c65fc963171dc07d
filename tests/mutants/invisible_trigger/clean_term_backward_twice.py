"""poison_step leaves a backward of the clean term that doubles it."""

# /// label
# caught_by = "poison_step.model_gradients"
# finding = "clean_term_twice"
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    loss_clean = F.cross_entropy(model(x), y)
    loss_clean.backward(retain_graph=True)

    loss_trigger = F.cross_entropy(model(apply_trigger(x, delta)), torch.full_like(y, target))
    loss = loss_clean + loss_trigger
    loss.backward()
    return loss.item()
