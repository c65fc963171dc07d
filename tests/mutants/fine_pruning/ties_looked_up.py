"""rank_neurons looks sorted values up, and finds the first of equal ones again."""

# /// label
# caught_by = "rank_neurons.names_each_once"
# finding = "not_each_once"
# ///

import torch


def rank_neurons(incoming, activations, rule):
    if rule == "largest-weight":
        values = (-incoming.abs().sum(dim=1)).tolist()
    elif rule == "dormant":
        values = activations.mean(dim=0).tolist()
    else:
        raise ValueError(rule)
    return torch.tensor([values.index(value) for value in sorted(values)])
