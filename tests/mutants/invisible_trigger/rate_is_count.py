"""attack_success_rate returns the number of hits."""

# /// label
# caught_by = "attack_success_rate.returns_share"
# finding = "count_not_share"
# ///


def attack_success_rate(predictions, y, target):
    return float(((predictions == target) & (y != target)).sum())
