"""apply_trigger does not clamp: pixels leave [0, 1]."""

# /// label
# caught_by = "apply_trigger.clamps_to_pixel_range"
# finding = "not_clamped"
# ///


def apply_trigger(x, delta):
    return x + delta
