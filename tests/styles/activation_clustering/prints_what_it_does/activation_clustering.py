"""Talks while it works, and keeps the paper's rule of the smaller cluster beside the silhouette."""

import torch
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score


def cluster_class(features, seed):
    dimensions = min(10, features.shape[1])
    print("reducing", tuple(features.shape), "to", dimensions)
    reduced = PCA(dimensions, svd_solver="full").fit_transform(features.numpy())
    return torch.from_numpy(KMeans(2, n_init=20, random_state=seed).fit_predict(reduced)).long()


def flag_poisoned(features, labels, seed):
    flagged = torch.zeros(len(labels), dtype=torch.bool)
    for label in range(int(labels.max()) + 1):
        members = (labels == label).nonzero().flatten()
        if len(members) < 20:
            print("class", label, "is too small")
            continue
        clusters = cluster_class(features[members], seed)
        reduced = PCA(min(10, features.shape[1])).fit_transform(features[members].numpy())
        score = silhouette_score(reduced, clusters.numpy(), sample_size=min(1500, len(members)), random_state=seed)
        print(f"class {label}: silhouette {score:.2f}")
        if score > 0.36:
            small = 1 if clusters.sum() * 2 < len(clusters) else 0
            flagged[members[clusters == small]] = True
    return flagged


def scramble_labels(labels, flagged, num_classes, seed):
    generator = torch.Generator().manual_seed(seed)
    new = labels.clone()
    drawn = torch.randint(0, num_classes - 1, (int(flagged.sum()),), generator=generator)
    old = labels[flagged]
    new[flagged] = drawn + (drawn >= old).long()
    return new
