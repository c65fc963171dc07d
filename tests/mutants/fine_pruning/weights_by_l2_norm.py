"""rank_neurons takes the L2 norm."""

# /// label
# caught_by = "rank_neurons.largest_weight"
# finding = "l2_norm"
# ///

import torch


def rank_neurons(incoming, activations, rule):
    if rule == "largest-weight":
        return incoming.norm(dim=1).argsort(descending=True)
    if rule == "dormant":
        return activations.mean(dim=0).argsort()
    raise ValueError(rule)
