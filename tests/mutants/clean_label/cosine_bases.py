"""choose_bases compares directions."""

# /// label
# caught_by = "choose_bases.finds_nearest"
# finding = "cosine"
# ///

import torch


def choose_bases(candidate_features, target_features, count):
    a = torch.nn.functional.normalize(target_features, dim=1)
    b = torch.nn.functional.normalize(candidate_features, dim=1)
    return (a @ b.T).topk(count).indices
