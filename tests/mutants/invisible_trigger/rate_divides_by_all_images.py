"""attack_success_rate counts only other classes but divides by all images."""

# /// label
# caught_by = "attack_success_rate.excludes_target_class"
# finding = "all_images"
# ///


def attack_success_rate(predictions, y, target):
    hits = ((predictions == target) & (y != target)).sum().item()
    return hits / len(y)
