"""prune_and_compress returns a layer without neurons."""

# /// label
# caught_by = "prune_and_compress.leaves_one"
# finding = "accepted"
# ///

import torch


def prune_and_compress(w_in, b_in, w_out, neurons):
    stays = torch.ones(len(b_in), dtype=torch.bool)
    stays[neurons] = False
    return w_in[stays], b_in[stays], w_out[:, stays]
