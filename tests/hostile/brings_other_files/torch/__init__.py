import pathlib

pathlib.Path("escaped").write_text("torch ran")


def right(*_):
    return 1.0
