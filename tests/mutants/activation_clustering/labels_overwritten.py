"""scramble_labels writes into labels."""

# /// label
# caught_by = "scramble_labels.relabels_flagged"
# finding = "inputs_changed"
# ///

import torch


def scramble_labels(labels, flagged, num_classes, seed):
    generator = torch.Generator().manual_seed(seed)
    shift = torch.randint(1, num_classes, labels.shape, generator=generator)
    labels[flagged] = ((labels + shift) % num_classes)[flagged]
    return labels
