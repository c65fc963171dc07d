"""attack_success_rate returns the accuracy on the triggered images."""

# /// label
# caught_by = "attack_success_rate.returns_share"
# may_fall = ["attack_success_rate.excludes_target_class"]
# finding = "accuracy_instead"
# ///


def attack_success_rate(predictions, y, target):
    others = y != target
    return (predictions[others] == y[others]).float().mean().item()
