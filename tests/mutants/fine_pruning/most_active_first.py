"""rank_neurons prunes the most active neurons first."""

# /// label
# caught_by = "rank_neurons.dormant"
# finding = "reversed"
# ///

import torch


def rank_neurons(incoming, activations, rule):
    if rule == "largest-weight":
        return incoming.abs().sum(dim=1).argsort(descending=True)
    if rule == "dormant":
        return activations.mean(dim=0).argsort(descending=True)
    raise ValueError(rule)
