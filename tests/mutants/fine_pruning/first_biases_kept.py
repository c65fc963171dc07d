"""prune_and_compress keeps the first biases, whoever they belong to."""

# /// label
# caught_by = "prune_and_compress.same_outputs"
# finding = "biases"
# ///

import torch


def prune_and_compress(w_in, b_in, w_out, neurons):
    if len(neurons) >= len(b_in):
        raise ValueError("nothing would be left")
    stays = torch.tensor([i for i in range(len(b_in)) if i not in set(neurons.tolist())])
    return w_in[stays], b_in[: len(stays)].clone(), w_out[:, stays]
