"""scramble_labels draws from all classes."""

# /// label
# caught_by = "scramble_labels.relabels_flagged"
# finding = "kept"
# ///

import torch


def scramble_labels(labels, flagged, num_classes, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.where(flagged, torch.randint(0, num_classes, labels.shape, generator=generator), labels)
