"""attack_success_rate returns the share that is not predicted as the target."""

# /// label
# caught_by = "attack_success_rate.returns_share"
# may_fall = ["attack_success_rate.excludes_target_class"]
# finding = "not_target_rate"
# ///


def attack_success_rate(predictions, y, target):
    others = y != target
    return (predictions[others] != target).float().mean().item()
