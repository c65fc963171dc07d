"""prune_and_compress sets weights to zero and keeps the size."""

# /// label
# caught_by = "prune_and_compress.really_smaller"
# finding = "same_size"
# ///

import torch


def prune_and_compress(w_in, b_in, w_out, neurons):
    if len(neurons) >= len(b_in):
        raise ValueError("nothing would be left")
    w_in, b_in, w_out = w_in.clone(), b_in.clone(), w_out.clone()
    w_in[neurons], b_in[neurons], w_out[:, neurons] = 0, 0, 0
    return w_in, b_in, w_out
