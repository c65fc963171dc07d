"""rank_neurons takes the largest activation."""

# /// label
# caught_by = "rank_neurons.dormant"
# finding = "largest_entry"
# ///

import torch


def rank_neurons(incoming, activations, rule):
    if rule == "largest-weight":
        return incoming.abs().sum(dim=1).argsort(descending=True)
    if rule == "dormant":
        return activations.amax(dim=0).argsort()
    raise ValueError(rule)
