"""attack_success_rate always looks at class 0."""

# /// label
# caught_by = "attack_success_rate.excludes_target_class"
# may_fall = ["attack_success_rate.returns_share"]
# ///


def attack_success_rate(predictions, y, target):
    target = 0
    others = y != target
    return (predictions[others] == target).float().mean().item()
