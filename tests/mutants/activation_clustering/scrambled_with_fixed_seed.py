"""scramble_labels has a seed of its own."""

# /// label
# caught_by = "scramble_labels.spreads_labels"
# finding = "seed_ignored"
# ///

import torch


def scramble_labels(labels, flagged, num_classes, seed):
    generator = torch.Generator().manual_seed(0)
    return torch.where(flagged, (labels + torch.randint(1, num_classes, labels.shape, generator=generator)) % num_classes, labels)
