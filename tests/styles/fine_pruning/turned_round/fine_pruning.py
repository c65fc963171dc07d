"""The remaining neurons in the opposite order, and a list instead of a tuple."""

import torch


def rank_neurons(incoming, activations, rule):
    match rule:
        case "largest-weight":
            return torch.sort(torch.norm(incoming, p=1, dim=1), descending=True, stable=True).indices
        case "dormant":
            return torch.sort(activations.sum(dim=0), stable=True)[1]
        case _:
            raise ValueError(f"{rule!r} is no rule")


def prune_and_compress(w_in, b_in, w_out, neurons):
    numbers = torch.arange(len(b_in))
    stays = numbers[~torch.isin(numbers, neurons)].flip(0)
    if stays.numel() == 0:
        raise ValueError("a layer needs a neuron")
    return [w_in.index_select(0, stays), b_in.index_select(0, stays), w_out.index_select(1, stays)]
