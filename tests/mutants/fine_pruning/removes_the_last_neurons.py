"""prune_and_compress removes as many neurons as are named, from the end."""

# /// label
# caught_by = "prune_and_compress.same_outputs"
# finding = "other_neurons"
# ///

import torch


def prune_and_compress(w_in, b_in, w_out, neurons):
    if len(neurons) >= len(b_in):
        raise ValueError("nothing would be left")
    left = len(b_in) - len(neurons)
    return w_in[:left].clone(), b_in[:left].clone(), w_out[:, :left].clone()
