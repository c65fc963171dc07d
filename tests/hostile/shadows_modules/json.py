import pathlib

pathlib.Path("escaped").write_text("json.py ran")
