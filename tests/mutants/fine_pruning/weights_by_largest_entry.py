"""rank_neurons takes the largest weight."""

# /// label
# caught_by = "rank_neurons.largest_weight"
# finding = "largest_entry"
# ///

import torch


def rank_neurons(incoming, activations, rule):
    if rule == "largest-weight":
        return incoming.abs().amax(dim=1).argsort(descending=True)
    if rule == "dormant":
        return activations.mean(dim=0).argsort()
    raise ValueError(rule)
