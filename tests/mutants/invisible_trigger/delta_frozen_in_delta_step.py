"""delta_step switches requires_grad off for the projection and not on again."""

# /// label
# caught_by = "delta_step.keeps_leaf"
# finding = "lost_requires_grad"
# ///


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    delta.requires_grad_(False)
    delta.clamp_(-epsilon, epsilon)
