"""attack_success_rate rounds to one decimal."""

# /// label
# caught_by = "attack_success_rate.returns_share"
# may_fall = ["attack_success_rate.excludes_target_class"]
# ///


def attack_success_rate(predictions, y, target):
    others = y != target
    return round((predictions[others] == target).float().mean().item(), 1)
