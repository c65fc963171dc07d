"""choose_bases takes the candidates nearest to all targets together."""

# /// label
# caught_by = "choose_bases.finds_nearest"
# finding = "one_for_all"
# ///

import torch


def choose_bases(candidate_features, target_features, count):
    distances = torch.cdist(target_features, candidate_features).mean(0)
    return distances.topk(count, largest=False).indices.repeat(len(target_features), 1)
