"""choose_bases takes the candidates that are farthest away."""

# /// label
# caught_by = "choose_bases.finds_nearest"
# finding = "farthest"
# ///

import torch


def choose_bases(candidate_features, target_features, count):
    return torch.cdist(target_features, candidate_features).topk(count).indices
