"""cluster_class leaves k-means without a seed."""

# /// label
# caught_by = "cluster_class.repeats_itself"
# finding = "seed_ignored"
# ///

import torch
from sklearn.cluster import KMeans


def cluster_class(features, seed):
    return torch.from_numpy(KMeans(2, n_init=1, init="random").fit_predict(features.numpy())).long()
