import pathlib

pathlib.Path("escaped").write_text("sitecustomize.py ran")
