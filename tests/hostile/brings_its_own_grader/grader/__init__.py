import pathlib

pathlib.Path("escaped").write_text("the grader ran")
