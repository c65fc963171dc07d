"""apply_trigger clamps in place on x."""

# /// label
# caught_by = "apply_trigger.leaves_inputs_alone"
# finding = "x_changed"
# may_fall = ["apply_trigger.is_differentiable"]
# ///


def apply_trigger(x, delta):
    return x.add_(delta).clamp_(0.0, 1.0)
