"""Two backward passes that add up after one clearing."""

import torch
import torch.nn as nn


def apply_trigger(x, delta):
    return torch.clamp(x + delta.expand_as(x), 0, 1)


def poison_step(model, delta, x, y, target):
    criterion = nn.CrossEntropyLoss()
    model.zero_grad()
    delta.grad = None

    # clean batch
    loss = criterion(model(x), y)
    loss.backward()
    total = loss.item()

    # triggered batch; the gradients add up
    loss = criterion(model(apply_trigger(x, delta)), torch.full_like(y, target))
    loss.backward()
    return total + loss.item()


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    delta.detach().clamp_(-epsilon, epsilon)


def attack_success_rate(predictions, y, target):
    predictions, y = predictions.cpu(), y.cpu()
    return float((predictions[y != target] == target).float().mean())
