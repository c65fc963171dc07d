"""cluster_class puts everything into one cluster."""

# /// label
# caught_by = "cluster_class.separates_groups"
# finding = "one_cluster"
# ///

import torch


def cluster_class(features, seed):
    return torch.zeros(len(features), dtype=torch.int64)
