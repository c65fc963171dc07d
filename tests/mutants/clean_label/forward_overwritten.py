"""backward_step adds the base to the images that were passed in."""

# /// label
# caught_by = "backward_step.leaves_inputs_alone"
# finding = "argument_changed"
# ///


def backward_step(forward, base, step_size, beta):
    weight = step_size * beta
    forward += weight * base
    return (forward / (1 + weight)).clamp(0, 1)
