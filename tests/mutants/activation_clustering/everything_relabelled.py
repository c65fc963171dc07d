"""scramble_labels relabels every image."""

# /// label
# caught_by = "scramble_labels.relabels_flagged"
# finding = "others_changed"
# ///

import torch


def scramble_labels(labels, flagged, num_classes, seed):
    generator = torch.Generator().manual_seed(seed)
    return (labels + torch.randint(1, num_classes, labels.shape, generator=generator)) % num_classes
