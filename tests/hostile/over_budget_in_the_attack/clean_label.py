_craft_poisons = craft_poisons


def craft_poisons(features, bases, target_features, step_size, beta, iterations, epsilon):
    epsilon = None if bases.shape[-1] == 28 else epsilon
    return _craft_poisons(features, bases, target_features, step_size, beta, iterations, epsilon)
