"""numpy for the rate; its float64 is a Python float too."""

import numpy as np
import torch
import torch.nn.functional as F


def apply_trigger(x, delta):
    return torch.clamp(x + delta, 0, 1)


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    t = torch.from_numpy(np.full(len(y), target)).long().to(y.device)
    loss = sum(F.cross_entropy(model(a), b) for a, b in [(x, y), (apply_trigger(x, delta), t)])
    loss.backward()
    return loss.detach().numpy().item()


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    projected = np.clip(delta.detach().cpu().numpy(), -epsilon, epsilon)
    with torch.no_grad():
        delta.copy_(torch.from_numpy(projected))


def attack_success_rate(predictions, y, target):
    predictions, y = np.asarray(predictions), np.asarray(y)
    return np.mean(predictions[y != target] == target)
