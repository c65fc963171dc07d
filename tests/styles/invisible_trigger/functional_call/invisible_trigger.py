"""torch.func: the loss as a function of (parameters, delta), its gradient written into .grad."""

import torch
import torch.nn.functional as F
from torch.func import functional_call, grad_and_value


def apply_trigger(x, delta):
    return torch.clamp(x + delta, 0, 1)


def poison_step(model, delta, x, y, target):
    def objective(parameters, trigger):
        clean = functional_call(model, parameters, (x,))
        triggered = functional_call(model, parameters, (apply_trigger(x, trigger),))
        return F.cross_entropy(clean, y) + F.cross_entropy(triggered, torch.full_like(y, target))

    parameters = {name: p.detach() for name, p in model.named_parameters()}
    (gradients, delta_gradient), loss = grad_and_value(objective, argnums=(0, 1))(parameters, delta.detach())
    for name, p in model.named_parameters():
        p.grad = gradients[name]
    delta.grad = delta_gradient
    return loss.item()


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    with torch.no_grad():
        torch.clamp(delta, -epsilon, epsilon, out=delta)


def attack_success_rate(predictions, y, target):
    return torch.where(y != target, predictions == target, False).sum().item() / int((y != target).sum())
