"""rank_neurons raises KeyError for an unknown rule."""

# /// label
# caught_by = "rank_neurons.rejects_other_rules"
# finding = "other_exception"
# ///

import torch


def rank_neurons(incoming, activations, rule):
    measures = {"largest-weight": -incoming.abs().sum(dim=1), "dormant": activations.mean(dim=0)}
    return measures[rule].argsort()
