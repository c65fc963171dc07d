"""rank_neurons returns int32."""

# /// label
# caught_by = "rank_neurons.names_each_once"
# may_fall = ["rank_neurons.largest_weight", "rank_neurons.dormant"]
# ///

import torch


def rank_neurons(incoming, activations, rule):
    if rule == "largest-weight":
        return incoming.abs().sum(dim=1).argsort(descending=True).int()
    if rule == "dormant":
        return activations.mean(dim=0).argsort().int()
    raise ValueError(rule)
