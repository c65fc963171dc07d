"""Loops wherever there could be one."""

import torch
import torch.nn.functional as F


def apply_trigger(x, delta):
    triggered = []
    for image in x:
        triggered.append(torch.clamp(image + delta[0], 0, 1))
    return torch.stack(triggered)


def poison_step(model, delta, x, y, target):
    for p in model.parameters():
        if p.grad is not None:
            p.grad.detach_()
            p.grad.zero_()
    if delta.grad is not None:
        delta.grad.detach_()
        delta.grad.zero_()
    labels = torch.tensor([target for _ in range(len(y))])
    losses = []
    for inputs, classes in ((x, y), (apply_trigger(x, delta), labels)):
        losses.append(F.cross_entropy(model(inputs), classes))
    loss = losses[0] + losses[1]
    loss.backward()
    return float(loss.item())


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    flat = delta.data.view(-1)
    for i, value in enumerate(flat.tolist()):
        if value > epsilon:
            flat[i] = epsilon
        elif value < -epsilon:
            flat[i] = -epsilon


def attack_success_rate(predictions, y, target):
    hits = 0
    total = 0
    for i in range(len(y)):
        if y[i].item() != target:
            total = total + 1
            if predictions[i].item() == target:
                hits = hits + 1
    return hits / total
