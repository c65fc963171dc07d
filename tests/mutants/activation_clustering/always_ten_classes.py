"""scramble_labels takes ten classes for granted."""

# /// label
# caught_by = "scramble_labels.relabels_flagged"
# finding = "outside"
# ///

import torch


def scramble_labels(labels, flagged, num_classes, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.where(flagged, (labels + torch.randint(1, 10, labels.shape, generator=generator)) % 10, labels)
