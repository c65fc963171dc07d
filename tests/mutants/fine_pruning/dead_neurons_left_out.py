"""rank_neurons leaves neurons out that never answer."""

# /// label
# caught_by = "rank_neurons.names_each_once"
# finding = "wrong_shape"
# ///

import torch


def rank_neurons(incoming, activations, rule):
    if rule == "largest-weight":
        return incoming.abs().sum(dim=1).argsort(descending=True)
    if rule != "dormant":
        raise ValueError(rule)
    mean = activations.mean(dim=0)
    return torch.tensor([i for i in mean.argsort().tolist() if mean[i] > 0])
