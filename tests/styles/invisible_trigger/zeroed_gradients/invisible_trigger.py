"""Gradients set to zero tensors rather than None."""

import torch
import torch.nn.functional as F


def apply_trigger(x, delta):
    x_trigger = x.clone()
    x_trigger = x_trigger + delta
    x_trigger = torch.clamp(x_trigger, 0, 1)
    return x_trigger


def poison_step(model, delta, x, y, target):
    model.zero_grad(set_to_none=False)
    if delta.grad is not None:
        delta.grad.zero_()

    y_target = torch.ones_like(y) * target
    output_clean = model(x)
    output_trigger = model(apply_trigger(x, delta))
    loss = F.cross_entropy(output_clean, y) + F.cross_entropy(output_trigger, y_target)
    loss.backward()
    return loss.item()


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    delta.data = torch.clamp(delta.data, -epsilon, epsilon)


def attack_success_rate(predictions, y, target):
    non_target = y != target
    correct = (predictions[non_target] == target).sum().item()
    return correct / non_target.sum().item()
