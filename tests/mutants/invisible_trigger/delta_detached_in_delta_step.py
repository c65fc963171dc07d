"""delta_step detaches delta in place for the projection and does not ask for its gradient again."""

# /// label
# caught_by = "delta_step.keeps_leaf"
# finding = "lost_requires_grad"
# ///


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    delta.detach_()
    delta.clamp_(min=-epsilon, max=epsilon)
