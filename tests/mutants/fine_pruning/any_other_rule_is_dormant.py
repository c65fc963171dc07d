"""rank_neurons takes every other rule for "dormant"."""

# /// label
# caught_by = "rank_neurons.rejects_other_rules"
# finding = "accepted"
# ///

import torch


def rank_neurons(incoming, activations, rule):
    if rule == "largest-weight":
        return incoming.abs().sum(dim=1).argsort(descending=True)
    return activations.mean(dim=0).argsort()
