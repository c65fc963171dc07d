"""prune_and_compress leaves w_out as it is."""

# /// label
# caught_by = "prune_and_compress.really_smaller"
# finding = "wrong_shape"
# ///

import torch


def prune_and_compress(w_in, b_in, w_out, neurons):
    if len(neurons) >= len(b_in):
        raise ValueError("nothing would be left")
    stays = torch.tensor([i for i in range(len(b_in)) if i not in set(neurons.tolist())])
    return w_in[stays], b_in[stays], w_out.clone()
