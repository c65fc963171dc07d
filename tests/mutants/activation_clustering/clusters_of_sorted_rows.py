"""cluster_class sorts the images and forgets to undo it."""

# /// label
# caught_by = "cluster_class.separates_groups"
# finding = "mixed"
# ///

import torch
from sklearn.cluster import KMeans


def cluster_class(features, seed):
    rows = features.sum(dim=1).argsort()
    return torch.from_numpy(KMeans(2, n_init=10, random_state=seed).fit_predict(features[rows].numpy())).long()
