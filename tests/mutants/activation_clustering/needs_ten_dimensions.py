"""cluster_class always asks for ten components."""

# /// label
# caught_by = "cluster_class.separates_groups"
# finding = "exception"
# ///

import torch
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA


def cluster_class(features, seed):
    reduced = PCA(10, random_state=seed).fit_transform(features.numpy())
    return torch.from_numpy(KMeans(2, n_init=10, random_state=seed).fit_predict(reduced)).long()
