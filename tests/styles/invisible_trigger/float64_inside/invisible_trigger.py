"""The loss is computed in float64 and the gradients come back in float32."""

import torch
import torch.nn.functional as F


def apply_trigger(x, delta):
    return torch.clamp(x.double() + delta.double(), 0, 1).to(x.dtype)


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    clean = F.cross_entropy(model(x).double(), y)
    triggered = F.cross_entropy(model(apply_trigger(x, delta)).double(), torch.full_like(y, target))
    loss = clean + triggered
    loss.backward()
    return loss.item()


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    bound = torch.tensor(epsilon, dtype=torch.float64)
    with torch.no_grad():
        delta.copy_(delta.double().clamp(-bound, bound))


def attack_success_rate(predictions, y, target):
    weights = (y != target).double()
    return ((predictions == target).double() * weights).sum().item() / weights.sum().item()
