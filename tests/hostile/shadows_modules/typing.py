import pathlib

pathlib.Path("escaped").write_text("typing.py ran")
