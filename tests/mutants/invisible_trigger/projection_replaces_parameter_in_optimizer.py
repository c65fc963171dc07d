"""delta_step puts a new, projected leaf into the optimiser; the caller keeps the old one."""

# /// label
# caught_by = "delta_step.projects_onto_ball"
# may_fall = ["delta_step.keeps_leaf"]
# ///


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    new_delta = delta.detach().clamp(-epsilon, epsilon).requires_grad_(True)
    delta_optimizer.param_groups[0]["params"] = [new_delta]
