import pathlib

pathlib.Path("escaped").write_text("usercustomize.py ran")
