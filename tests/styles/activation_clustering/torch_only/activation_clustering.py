"""Without scikit-learn: an eigendecomposition, Lloyd's algorithm, and a silhouette of centroids."""

import torch


def reduce(features):
    centred = features.double() - features.double().mean(0)
    return centred @ torch.linalg.eigh(centred.T @ centred).eigenvectors[:, -10:]


def two_means(z, seed):
    generator = torch.Generator().manual_seed(seed)
    best = None
    for _ in range(8):
        centres = z[torch.randperm(len(z), generator=generator)[:2]]
        for _ in range(60):
            cluster = torch.cdist(z, centres).argmin(1)
            if not 0 < cluster.sum() < len(z):
                break
            centres = torch.stack([z[cluster == k].mean(0) for k in (0, 1)])
        cost = torch.cdist(z, centres).amin(1).square().sum()
        if best is None or cost < best[0]:
            best = (cost, cluster)
    return best[1]


def cluster_class(features, seed):
    return two_means(reduce(features), seed)


def flag_poisoned(features, labels, seed):
    flagged = torch.zeros_like(labels, dtype=torch.bool)
    for label in labels.unique():
        where = (labels == label).nonzero().squeeze(1)
        if len(where) < 20:
            continue
        z = reduce(features[where])
        cluster = two_means(z, seed)
        if not 0 < cluster.sum() < len(z):
            continue
        distances = torch.cdist(z, torch.stack([z[cluster == k].mean(0) for k in (0, 1)]))
        near, far = distances.amin(1), distances.amax(1)
        spread = torch.stack([z[cluster == k].var(0).sum() for k in (0, 1)])
        if ((far - near) / far).mean() > 0.4 and spread.max() > 2 * spread.min():
            flagged[where[cluster == spread.argmax()]] = True
    return flagged


def scramble_labels(labels, flagged, num_classes, seed):
    generator = torch.Generator().manual_seed(seed)
    new = labels.clone()
    drawn = torch.randint(0, num_classes - 1, (int(flagged.sum()),), generator=generator)
    old = labels[flagged]
    new[flagged] = drawn + (drawn >= old).long()
    return new
