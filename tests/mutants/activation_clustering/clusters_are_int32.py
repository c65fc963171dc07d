"""cluster_class hands on what scikit-learn gives, whose labels are int32."""

# /// label
# caught_by = "cluster_class.separates_groups"
# finding = "wrong_dtype"
# ///

import torch
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA


def cluster_class(features, seed):
    reduced = PCA(min(10, *features.shape), random_state=seed).fit_transform(features.numpy())
    return torch.from_numpy(KMeans(2, n_init=10, random_state=seed).fit_predict(reduced))
