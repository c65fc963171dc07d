"""Cross-entropy against one-hot probabilities; the two terms as one expression."""

import torch
import torch.nn.functional as F


def apply_trigger(x, delta):
    return torch.min(torch.max(x + delta, torch.tensor(0.0)), torch.tensor(1.0))


def soft_cross_entropy(logits, probabilities):
    return torch.mean(torch.sum(-probabilities * F.log_softmax(logits, dim=-1), dim=-1))


def poison_step(model, delta, x, y, target):
    model.zero_grad()
    delta.grad = None
    logits = model(x)
    classes = logits.shape[1]
    wanted = F.one_hot(torch.full_like(y, target), num_classes=classes).float()
    loss = soft_cross_entropy(logits, F.one_hot(y, classes).float()) + F.cross_entropy(
        model(apply_trigger(x, delta)), wanted
    )
    loss.backward()
    return loss.item()


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    delta.data = delta.data.sign() * torch.clamp_max(delta.data.abs(), epsilon)


def attack_success_rate(predictions, y, target):
    return 1.0 - (predictions[y != target] != target).float().mean().item()
