"""apply_trigger clamps to [0, 255], the range of 8-bit images: nothing is capped at 1."""

# /// label
# caught_by = "apply_trigger.clamps_to_pixel_range"
# finding = "clamped_low_only"
# ///


def apply_trigger(x, delta):
    # keep the pixels valid
    return (x + delta).clamp(0, 255)
