"""rank_neurons prunes the smallest weights first."""

# /// label
# caught_by = "rank_neurons.largest_weight"
# finding = "reversed"
# ///

import torch


def rank_neurons(incoming, activations, rule):
    if rule == "largest-weight":
        return incoming.abs().sum(dim=1).argsort()
    if rule == "dormant":
        return activations.mean(dim=0).argsort()
    raise ValueError(rule)
