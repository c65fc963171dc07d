"""scramble_labels draws from the global generator."""

# /// label
# caught_by = "scramble_labels.spreads_labels"
# finding = "not_repeatable"
# ///

import torch


def scramble_labels(labels, flagged, num_classes, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.where(flagged, (labels + torch.randint(1, num_classes, labels.shape)) % num_classes, labels)
