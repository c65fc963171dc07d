"""delta_step never projects."""

# /// label
# caught_by = "delta_step.projects_onto_ball"
# finding = "not_projected"
# ///


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
