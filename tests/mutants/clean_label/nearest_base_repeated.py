"""choose_bases takes the nearest candidate again and again."""

# /// label
# caught_by = "choose_bases.takes_distinct"
# finding = "repeated"
# ///

import torch


def choose_bases(candidate_features, target_features, count):
    return torch.cdist(target_features, candidate_features).argmin(1, keepdim=True).repeat(1, count)
