"""choose_bases gives no candidate to a second target."""

# /// label
# caught_by = "choose_bases.takes_distinct"
# ///

import torch


def choose_bases(candidate_features, target_features, count):
    distances = torch.cdist(target_features, candidate_features)
    rows = []
    for i in range(len(target_features)):
        row = distances[i].topk(count, largest=False).indices
        if count > 1:
            distances[:, row] = distances.max() + distances[:, row]
        rows.append(row)
    return torch.stack(rows)
