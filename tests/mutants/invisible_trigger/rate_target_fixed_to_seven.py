"""attack_success_rate always looks at class 7, a constant of the file."""

# /// label
# caught_by = "attack_success_rate.excludes_target_class"
# ///


def attack_success_rate(predictions, y, target):
    target = 7
    others = y != target
    return (predictions[others] == target).float().mean().item()
