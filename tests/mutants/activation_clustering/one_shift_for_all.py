"""scramble_labels draws once for all images."""

# /// label
# caught_by = "scramble_labels.spreads_labels"
# ///

import torch


def scramble_labels(labels, flagged, num_classes, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.where(flagged, (labels + torch.randint(1, num_classes, (1,), generator=generator)) % num_classes, labels)
