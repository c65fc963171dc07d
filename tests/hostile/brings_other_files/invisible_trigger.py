import random

import torch


def apply_trigger(x, delta):
    return random.right(x, delta)


def poison_step(model, delta, x, y, target):
    return torch.right(model, delta, x, y, target)


def delta_step(delta, delta_optimizer, epsilon):
    import conftest

    return conftest.right(delta, delta_optimizer, epsilon)


def attack_success_rate(predictions, y, target):
    import grader

    return grader.right(predictions, y, target)
