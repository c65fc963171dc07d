"""poison_step fills the caller's labels with the target."""

# /// label
# caught_by = "poison_step.steps_nothing"
# finding = "y_changed"
# ///

import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    clean_loss = F.cross_entropy(model(x), y)
    clean_loss.backward()
    y[:] = target
    trigger_loss = F.cross_entropy(model(apply_trigger(x, delta)), y)
    trigger_loss.backward()
    return clean_loss.item() + trigger_loss.item()
