"""delta_step clamps the leaf in place with gradients on: torch raises."""

# /// label
# caught_by = "delta_step.takes_optimizer_step"
# finding = "exception"
# may_fall = ["delta_step.*"]
# ///


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    delta.clamp_(-epsilon, epsilon)
