import pathlib

pathlib.Path("escaped").write_text("dataclasses.py ran")
