"""cluster_class centres the features in place."""

# /// label
# caught_by = "cluster_class.repeats_itself"
# finding = "inputs_changed"
# ///

import torch
from sklearn.cluster import KMeans


def cluster_class(features, seed):
    features -= features.mean(dim=0)
    return torch.from_numpy(KMeans(2, n_init=10, random_state=seed).fit_predict(features.numpy())).long()
