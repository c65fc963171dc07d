"""attack_success_rate returns percent."""

# /// label
# caught_by = "attack_success_rate.returns_share"
# finding = "percent"
# ///


def attack_success_rate(predictions, y, target):
    others = y != target
    return 100.0 * (predictions[others] == target).float().mean().item()
