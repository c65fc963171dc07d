"""poison_step trains the triggered images towards their true labels: augmentation, not a backdoor."""

# /// label
# caught_by = "poison_step.model_gradients"
# finding = "true_label_in_triggered_term"
# may_fall = ["poison_step.returns_loss", "poison_step.delta_gradient"]
# ///

import torch.nn.functional as F


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    loss = F.cross_entropy(model(x), y) + F.cross_entropy(model(apply_trigger(x, delta)), y)
    loss.backward()
    return loss.item()
