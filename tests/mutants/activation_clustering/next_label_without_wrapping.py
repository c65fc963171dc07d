"""scramble_labels does not come back to class 0."""

# /// label
# caught_by = "scramble_labels.relabels_flagged"
# finding = "outside"
# ///

import torch


def scramble_labels(labels, flagged, num_classes, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.where(flagged, labels + torch.randint(1, num_classes, labels.shape, generator=generator), labels)
