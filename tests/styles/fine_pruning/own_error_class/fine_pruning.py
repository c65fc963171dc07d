"""Errors of a class of its own, which is a ValueError; topk for sorting."""

import torch


class BadRequest(ValueError):
    pass


def rank_neurons(incoming, activations, rule):
    measures = {"largest-weight": lambda: incoming.abs().sum(1), "dormant": lambda: -activations.double().mean(0)}
    if rule not in measures:
        raise BadRequest(f"rules: {sorted(measures)}")
    return torch.topk(measures[rule](), len(incoming)).indices


def prune_and_compress(w_in, b_in, w_out, neurons):
    mask = torch.full((len(b_in),), True).index_fill(0, neurons, False)
    if mask.sum() < 1:
        raise BadRequest("all pruned")
    return w_in[mask, :], b_in[mask], w_out[:, mask]
