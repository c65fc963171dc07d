"""rank_neurons sums the weights with their signs."""

# /// label
# caught_by = "rank_neurons.largest_weight"
# finding = "signed_sum"
# ///

import torch


def rank_neurons(incoming, activations, rule):
    if rule == "largest-weight":
        return incoming.sum(dim=1).argsort(descending=True)
    if rule == "dormant":
        return activations.mean(dim=0).argsort()
    raise ValueError(rule)
