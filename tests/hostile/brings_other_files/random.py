import pathlib

pathlib.Path("escaped").write_text("random.py ran")


def right(x, delta):
    return (x + delta).clamp(0, 1)
