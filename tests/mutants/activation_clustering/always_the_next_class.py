"""scramble_labels gives the next class to every image."""

# /// label
# caught_by = "scramble_labels.spreads_labels"
# ///

import torch


def scramble_labels(labels, flagged, num_classes, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.where(flagged, (labels + 1) % num_classes, labels)
