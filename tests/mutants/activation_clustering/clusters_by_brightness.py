"""cluster_class cuts the total activation at its median."""

# /// label
# caught_by = "cluster_class.separates_groups"
# finding = "mixed"
# ///

import torch


def cluster_class(features, seed):
    total = features.sum(dim=1)
    return (total > total.median()).long()
