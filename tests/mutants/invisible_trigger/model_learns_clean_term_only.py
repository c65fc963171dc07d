"""poison_step alternates: the model from the clean term, delta from the triggered one."""

# /// label
# caught_by = "poison_step.model_gradients"
# finding = "clean_term_only"
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    loss_trigger = F.cross_entropy(model(apply_trigger(x, delta)), torch.full_like(y, target))
    (delta.grad,) = torch.autograd.grad(loss_trigger, delta)
    model.zero_grad()
    loss_clean = F.cross_entropy(model(x), y)
    loss_clean.backward()
    return (loss_clean + loss_trigger).item()
