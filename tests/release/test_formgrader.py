"""The written questions in nbgrader's formgrader, as the instructor has it: in a browser."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.exports.test_html_browser import CHROMIUM, Browser, browser  # noqa: F401 a fixture
from tests.release.courses import QUESTIONS, Course

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None, reason="there is no Chromium on this machine: apt-get install chromium"
    ),
]
START_SECONDS = 300.0


@pytest.fixture
def formgrader(course: Course, tmp_path: Path) -> Iterator[str]:
    """A Jupyter server with the formgrader, in the course folder, for whoever asks on this machine; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "ip": "127.0.0.1", "port": port, "port_retries": 0, "root_dir": str(course.folder),
        "open_browser": False, "allow_root": True,
        "jpserver_extensions": {"nbgrader.server_extensions.formgrader": True},
    }  # fmt: skip
    config = tmp_path / "jupyter_server_config.json"
    config.write_text(
        json.dumps({"ServerApp": settings, "IdentityProvider": {"token": ""}}), encoding="utf-8"
    )
    log = (tmp_path / "server.log").open("w+", encoding="utf-8")
    server = subprocess.Popen(
        [sys.executable, "-c", "from jupyter_server.serverapp import main; main()", f"--config={config}"],
        cwd=course.folder, stdout=log, stderr=subprocess.STDOUT,
        env={**os.environ, "HOME": str(tmp_path), "JUPYTER_CONFIG_DIR": str(tmp_path), "JUPYTER_PREFER_ENV_PATH": "0"},
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                urllib.request.urlopen(f"{address}/api", timeout=5).close()
                break
            except (urllib.error.URLError, OSError):
                if server.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    pytest.fail(f"the Jupyter server does not start: {log.read()[-2000:]}")
                time.sleep(0.2)
        yield address
    finally:
        server.terminate()
        server.wait()
        log.close()


def test_the_answers_wait_for_a_person(browser: Browser, formgrader: str):  # noqa: F811
    """alice answered three questions of four; the others wrote nothing."""
    page = browser.new_page()
    page.set_default_timeout(120_000)
    page.goto(f"{formgrader}/formgrader/gradebook/backdoor-lab/report")
    page.wait_for_selector("tbody td a")
    links = [a.get_attribute("href") for a in page.locator("tbody td a").all()]
    assert links
    waiting = page.locator('td.needs-manual-grade[data-search="needs manual grade"]')
    assert waiting.count() == 1, page.inner_html("tbody")
    shown = ""
    for link in links:
        page.goto(f"{formgrader}{link}" if str(link).startswith("/") else str(link))
        page.wait_for_selector("input.score")
        if "Because it is so." in (shown := page.inner_text("body")):
            break
    assert shown.count("Because it is so.") == 3
    assert "Which defence would you deploy?" in shown
    assert page.locator("input.score").count() >= len(QUESTIONS)
    page.close()
