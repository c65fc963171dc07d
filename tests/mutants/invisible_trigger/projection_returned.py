"""delta_step returns the clamped tensor instead of changing the caller's."""

# /// label
# caught_by = "delta_step.projects_onto_ball"
# may_fall = ["delta_step.keeps_leaf"]
# ///


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    delta = delta.clamp(-epsilon, epsilon)
    return delta
