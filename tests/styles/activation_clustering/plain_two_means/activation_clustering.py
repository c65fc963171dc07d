"""PCA and 2-means, a silhouette and the wider cluster: nothing else."""

import torch
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score


def split(features, seed):
    z = PCA(min(10, features.shape[1]), random_state=seed).fit_transform(features.numpy())
    return z, KMeans(2, n_init=10, random_state=seed).fit_predict(z)


def cluster_class(features, seed):
    return torch.tensor(split(features, seed)[1], dtype=torch.int64)


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
    generator = torch.Generator().manual_seed(seed)
    new = labels.clone()
    drawn = torch.randint(0, num_classes - 1, (int(flagged.sum()),), generator=generator)
    old = labels[flagged]
    new[flagged] = drawn + (drawn >= old).long()
    return new
