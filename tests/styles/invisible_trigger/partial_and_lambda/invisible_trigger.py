"""The four names are lambdas, partials and bound methods instead of plain functions."""

from functools import partial, reduce
from operator import add

import torch
import torch.nn.functional as F

apply_trigger = lambda x, delta: torch.clamp(x + delta, 0, 1)  # noqa: E731


def _clear(*tensors):
    for tensor in tensors:
        tensor.grad = None


def _poison(loss_function, model, delta, x, y, target):
    _clear(delta, *model.parameters())
    pairs = [(x, y), (apply_trigger(x, delta), torch.full_like(y, target))]
    loss = reduce(add, (loss_function(model(inputs), labels) for inputs, labels in pairs))
    loss.backward()
    return loss.item()


poison_step = partial(_poison, F.cross_entropy)


class _Projected:
    def __call__(self, delta, delta_optimizer, epsilon):
        delta_optimizer.step()
        delta.data.clamp_(-epsilon, epsilon)


delta_step = _Projected()


class _Rate:
    @staticmethod
    def of(predictions, y, target):
        return (predictions[y != target] == target).float().mean().item()


attack_success_rate = _Rate.of
