"""rank_neurons ranks by the weights under either rule."""

# /// label
# caught_by = "rank_neurons.dormant"
# finding = "other_rule"
# ///

import torch


def rank_neurons(incoming, activations, rule):
    if rule == "largest-weight":
        return incoming.abs().sum(dim=1).argsort(descending=True)
    if rule == "dormant":
        return incoming.abs().sum(dim=1).argsort(descending=True)
    raise ValueError(rule)
