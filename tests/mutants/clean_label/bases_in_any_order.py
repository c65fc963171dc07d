"""choose_bases returns the right candidates by their position."""

# /// label
# caught_by = "choose_bases.takes_distinct"
# finding = "not_in_order"
# ///

import torch


def choose_bases(candidate_features, target_features, count):
    nearest = torch.cdist(target_features, candidate_features).topk(count, largest=False).indices
    return nearest.sort(1).values
