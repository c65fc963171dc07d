"""NumPy throughout, tensors at the ends."""

import numpy as np
import torch


def rank_neurons(incoming, activations, rule):
    if rule not in ("largest-weight", "dormant"):
        raise ValueError(f"rule must be largest-weight or dormant, not {rule}")
    if rule == "largest-weight":
        order = np.argsort(-np.linalg.norm(incoming.numpy(), ord=1, axis=1))
    else:
        order = np.argsort(activations.numpy().mean(axis=0))
    return torch.from_numpy(order.astype(np.int64))


def prune_and_compress(w_in, b_in, w_out, neurons):
    if len(neurons) == len(b_in):
        raise ValueError("everything would be pruned")
    arrays = [np.delete(t.numpy(), neurons.numpy(), axis=axis) for t, axis in ((w_in, 0), (b_in, 0), (w_out, 1))]
    return tuple(torch.from_numpy(a.copy()) for a in arrays)
