"""prune_and_compress keeps what it should remove."""

# /// label
# caught_by = "prune_and_compress.really_smaller"
# finding = "kept_the_pruned"
# ///

import torch


def prune_and_compress(w_in, b_in, w_out, neurons):
    if len(neurons) >= len(b_in):
        raise ValueError("nothing would be left")
    return w_in[neurons], b_in[neurons], w_out[:, neurons]
