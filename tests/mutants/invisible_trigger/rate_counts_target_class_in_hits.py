"""attack_success_rate divides by the other classes but counts the hits of all images."""

# /// label
# caught_by = "attack_success_rate.excludes_target_class"
# ///


def attack_success_rate(predictions, y, target):
    hits = (predictions == target).sum().item()
    total = (y != target).sum().item()
    return hits / total
