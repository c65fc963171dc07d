import pathlib

pathlib.Path("escaped").write_text("numpy.py ran")
