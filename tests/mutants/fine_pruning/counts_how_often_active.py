"""rank_neurons counts how often a neuron is active."""

# /// label
# caught_by = "rank_neurons.dormant"
# finding = "counts_answers"
# ///

import torch


def rank_neurons(incoming, activations, rule):
    if rule == "largest-weight":
        return incoming.abs().sum(dim=1).argsort(descending=True)
    if rule == "dormant":
        return (activations > 0).float().mean(dim=0).argsort()
    raise ValueError(rule)
