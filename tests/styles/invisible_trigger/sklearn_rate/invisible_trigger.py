"""scikit-learn for the rate: one row of the confusion matrix at a time."""

import torch
from sklearn.metrics import accuracy_score
from torch.nn.functional import cross_entropy as ce


def apply_trigger(x, delta):
    return torch.clamp(x + delta, 0.0, 1.0)


def poison_step(model, delta, x, y, target):
    model.zero_grad(), setattr(delta, "grad", None)
    (loss := ce(model(x), y) + ce(model(apply_trigger(x, delta)), torch.full_like(y, target))).backward()
    return loss.item()


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    delta.data.clamp_(-epsilon, epsilon)


def attack_success_rate(predictions, y, target):
    others = (y != target).numpy()
    hits = predictions.numpy()[others]
    return float(accuracy_score([target] * len(hits), hits))
