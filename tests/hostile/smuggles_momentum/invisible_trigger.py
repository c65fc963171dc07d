import torch
import torch.nn.functional as F


EARLIER = {}


def apply_trigger(x, delta):
    return torch.clamp(x + delta, 0, 1)


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    loss = F.cross_entropy(model(x), y) + F.cross_entropy(model(apply_trigger(x, delta)), torch.full_like(y, target))
    loss.backward()
    if len(x) > 12:
        for key, tensor in enumerate((delta, *model.parameters())):
            earlier = EARLIER.get(key, torch.zeros_like(tensor.grad))
            EARLIER[key] = tensor.grad + 0.5 * earlier
            tensor.grad = EARLIER[key].clone()
    return loss.item()


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    with torch.no_grad():
        delta.clamp_(-epsilon, epsilon)


def attack_success_rate(predictions, y, target):
    others = y != target
    return (predictions[others] == target).float().mean().item()
