"""attack_success_rate uses integer division."""

# /// label
# caught_by = "attack_success_rate.returns_share"
# may_fall = ["attack_success_rate.excludes_target_class"]
# ///


def attack_success_rate(predictions, y, target):
    others = y != target
    hits = int((predictions[others] == target).sum())
    return float(hits // int(others.sum()))
