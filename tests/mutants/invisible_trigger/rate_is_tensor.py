"""attack_success_rate returns a 0-dimensional tensor."""

# /// label
# caught_by = "attack_success_rate.returns_share"
# finding = "not_a_float"
# ///


def attack_success_rate(predictions, y, target):
    others = y != target
    return (predictions[others] == target).float().mean()
