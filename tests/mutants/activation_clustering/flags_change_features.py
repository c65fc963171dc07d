"""flag_poisoned scales the features in place."""

# /// label
# caught_by = "flag_poisoned.finds_poison"
# finding = "inputs_changed"
# may_fall = ["flag_poisoned.spares_clean_classes"]
# ///

import torch
from sklearn.metrics import silhouette_score


def flag_poisoned(features, labels, seed):
    flagged = torch.zeros(len(labels), dtype=torch.bool)
    features /= features.max()
    for label in labels.unique():
        members = (labels == label).nonzero()[:, 0]
        if len(members) < 20:
            continue
        cluster = cluster_class(features[members], seed)
        small = cluster == (0 if (cluster == 0).sum() * 2 < len(cluster) else 1)
        side = small
        silhouette = silhouette_score(_reduce(features[members], seed), cluster.numpy())
        if silhouette > 0.35:
            flagged[members[side]] = True
    return flagged
