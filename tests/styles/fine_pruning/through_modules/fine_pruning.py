"""Linear layers of torch.nn, and their weights."""

import torch
from torch import nn


def rank_neurons(incoming, activations, rule):
    if rule == "dormant":
        return torch.argsort(torch.mean(activations, 0), descending=False)
    elif rule == "largest-weight":
        return torch.argsort(-torch.sum(torch.abs(incoming), -1))
    else:
        raise ValueError("the rule is largest-weight or dormant")


def prune_and_compress(w_in, b_in, w_out, neurons):
    stays = sorted(set(range(w_in.size(0))) - set(neurons.tolist()))
    if len(stays) < 1:
        raise ValueError("nothing left")
    hidden, last = nn.Linear(w_in.size(1), len(stays)), nn.Linear(len(stays), w_out.size(0), bias=False)
    with torch.no_grad():
        hidden.weight.copy_(w_in[stays])
        hidden.bias.copy_(b_in[stays])
        last.weight.copy_(w_out[:, stays])
    return hidden.weight, hidden.bias, last.weight
