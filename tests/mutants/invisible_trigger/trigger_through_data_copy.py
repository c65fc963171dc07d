"""apply_trigger writes the sum through .data into a clone of x: the values are right, delta gets no gradient."""

# /// label
# caught_by = "apply_trigger.is_differentiable"
# finding = "no_grad_delta"
# ///


def apply_trigger(x, delta):
    out = x.clone()
    out.data += delta.data
    return out.clamp(0, 1)
