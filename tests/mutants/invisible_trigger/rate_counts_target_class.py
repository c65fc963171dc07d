"""attack_success_rate counts images of the target class too."""

# /// label
# caught_by = "attack_success_rate.excludes_target_class"
# finding = "counts_target_class"
# ///


def attack_success_rate(predictions, y, target):
    return (predictions == target).float().mean().item()
