"""cluster_class makes three clusters."""

# /// label
# caught_by = "cluster_class.separates_groups"
# finding = "not_zero_one"
# ///

import torch
from sklearn.cluster import KMeans


def cluster_class(features, seed):
    return torch.from_numpy(KMeans(3, n_init=10, random_state=seed).fit_predict(features.numpy())).long()
