"""rank_neurons takes absolute values in place."""

# /// label
# caught_by = "rank_neurons.names_each_once"
# finding = "inputs_changed"
# ///

import torch


def rank_neurons(incoming, activations, rule):
    if rule == "largest-weight":
        return incoming.abs_().sum(dim=1).argsort(descending=True)
    if rule == "dormant":
        return activations.mean(dim=0).argsort()
    raise ValueError(rule)
