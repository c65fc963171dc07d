"""poison_step goes backward through the triggered term for delta and then through the sum for the model."""

# /// label
# caught_by = "poison_step.model_gradients"
# finding = "triggered_term_twice"
# may_fall = ["poison_step.delta_gradient"]
# ///

import torch
import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    loss_trigger = F.cross_entropy(model(apply_trigger(x, delta)), torch.full_like(y, target))
    loss_trigger.backward(retain_graph=True)  # gradient for delta
    loss = F.cross_entropy(model(x), y) + loss_trigger
    loss.backward()  # gradient for the model
    return loss.item()
