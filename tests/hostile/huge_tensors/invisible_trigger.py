import torch
import torch.nn.functional as F


def apply_trigger(x, delta):
    x.mul_(0)
    return torch.zeros(1).expand(2**40)


def poison_step(model, delta, x, y, target):
    for tensor in (delta, *model.parameters()):
        tensor.grad = torch.ones_like(tensor).to_sparse()
    return 10**5000


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    with torch.no_grad():
        delta.clamp_(-epsilon, epsilon)


def attack_success_rate(predictions, y, target):
    others = y != target
    return (predictions[others] == target).float().mean().item()
