"""prune_and_compress asserts that something is left."""

# /// label
# caught_by = "prune_and_compress.leaves_one"
# finding = "other_exception"
# ///

import torch


def prune_and_compress(w_in, b_in, w_out, neurons):
    stays = torch.ones(len(b_in), dtype=torch.bool)
    stays[neurons] = False
    assert stays.any()
    return w_in[stays], b_in[stays], w_out[:, stays]
