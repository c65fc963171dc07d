"""flag_poisoned flags nothing."""

# /// label
# caught_by = "flag_poisoned.finds_poison"
# finding = "nothing_flagged"
# ///

import torch


def flag_poisoned(features, labels, seed):
    return torch.zeros(len(labels), dtype=torch.bool)
