"""attack_success_rate leaves out images that are predicted right instead of those of the target class."""

# /// label
# caught_by = "attack_success_rate.excludes_target_class"
# may_fall = ["attack_success_rate.returns_share"]
# ///


def attack_success_rate(predictions, y, target):
    wrong = predictions != y
    if wrong.sum() == 0:
        return 0.0
    return (predictions[wrong] == target).float().mean().item()
