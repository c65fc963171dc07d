"""craft_poisons counts the bases as its first iteration."""

# /// label
# caught_by = "craft_poisons.undoes_rejected_steps"
# finding = "one_iteration_less"
# may_fall = ["craft_poisons.each_image_alone"]
# ///

import torch


def craft_poisons(features, bases, target_features, step_size, beta, iterations, epsilon):
    def objective(x):
        with torch.no_grad():
            distance = (features(x) - target_features).square().sum(1)
        return distance + beta / 2 * (x - bases).square().flatten(1).sum(1)

    poison = bases.clone()
    sizes = torch.full((len(bases), 1, 1, 1), step_size)
    value = objective(poison)
    for _ in range(iterations - 1):
        forward = forward_step(features, poison, target_features, sizes)
        candidate = backward_step(forward, bases, sizes, beta)
        if epsilon is not None:
            candidate = candidate.clamp(bases - epsilon, bases + epsilon)
        new_value = objective(candidate)
        accepted = new_value < value
        value = torch.where(accepted, new_value, value)
        where = accepted.view(-1, 1, 1, 1)
        poison = torch.where(where, candidate, poison)
        sizes = torch.where(where, sizes, sizes / 2)
    return poison
