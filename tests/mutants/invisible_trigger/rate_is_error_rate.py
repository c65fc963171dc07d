"""attack_success_rate counts every wrong prediction as a success."""

# /// label
# caught_by = "attack_success_rate.returns_share"
# may_fall = ["attack_success_rate.excludes_target_class"]
# ///


def attack_success_rate(predictions, y, target):
    others = y != target
    return (predictions[others] != y[others]).float().mean().item()
