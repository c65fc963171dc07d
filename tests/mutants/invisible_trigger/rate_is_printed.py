"""attack_success_rate prints the rate and returns nothing."""

# /// label
# caught_by = "attack_success_rate.returns_share"
# finding = "returned_none"
# may_fall = ["attack_success_rate.excludes_target_class"]
# ///


def attack_success_rate(predictions, y, target):
    others = y != target
    rate = (predictions[others] == target).float().mean().item()
    print(f"ASR: {100 * rate:.2f} %")
