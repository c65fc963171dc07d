"""rank_neurons returns the rank of each neuron."""

# /// label
# caught_by = "rank_neurons.largest_weight"
# finding = "ranks_not_numbers"
# ///

import torch


def rank_neurons(incoming, activations, rule):
    if rule == "largest-weight":
        return incoming.abs().sum(dim=1).argsort(descending=True).argsort()
    if rule == "dormant":
        return activations.mean(dim=0).argsort()
    raise ValueError(rule)
