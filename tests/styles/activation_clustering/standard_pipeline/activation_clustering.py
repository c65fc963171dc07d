"""A scikit-learn pipeline, and labels drawn from a list of the other classes."""

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.metrics import silhouette_score


def split(features, seed):
    x = features.numpy().astype(np.float64)
    x = x - x.mean(axis=0)
    z = TruncatedSVD(min(10, x.shape[1] - 1), random_state=seed).fit_transform(x)
    return z, KMeans(n_clusters=2, n_init=10, random_state=seed).fit(z).labels_


def cluster_class(features, seed):
    return torch.from_numpy(split(features, seed)[1].astype("int64"))


def flag_poisoned(features, labels, seed):
    flagged = torch.zeros(len(labels), dtype=torch.bool)
    for label in sorted(set(labels.tolist())):
        positions = torch.where(labels == label)[0]
        if len(positions) < 20:
            continue
        z, cluster = split(features[positions], seed)
        if silhouette_score(z, cluster, sample_size=min(1000, len(z)), random_state=seed) < 0.36:
            continue
        spread = [z[cluster == k].std(axis=0).sum() for k in (0, 1)]
        flagged[positions[torch.from_numpy(cluster == int(spread[1] > spread[0]))]] = True
    return flagged


def scramble_labels(labels, flagged, num_classes, seed):
    rng = np.random.default_rng(seed)
    result = labels.tolist()
    for i in flagged.nonzero().flatten().tolist():
        others = [c for c in range(num_classes) if c != result[i]]
        result[i] = others[rng.integers(len(others))]
    return torch.tensor(result, dtype=torch.int64)
