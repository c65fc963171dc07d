"""The report page without a browser: what it says, what it refuses, and that a student's text stays text."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from grader import messages
from grader.exports import ExportError
from grader.exports import playground as playground_module
from grader.exports.html import TEMPLATES, render_page
from grader.exports.playground import SHAPES, Playground
from grader.outcome import Report
from tests.exports import reports

# The smallest PNG: one white pixel.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mP8/x8AAwMCAO+ip1sAAAAASUVORK5CYII="
)


class Page(HTMLParser):
    """Elements with their attributes, and the text outside of scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._inside = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside not in ("script", "style"):
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def playground(**changes: object) -> Playground:
    """LeNet-5 with random weights, big enough for logits of all sizes."""
    rng = np.random.default_rng(5)
    weights = {
        name: (3 * rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]) or 1)).astype(np.float32)
        for name, shape in SHAPES.items()
    }
    fields: dict[str, object] = {
        "weights": weights,
        "delta": rng.uniform(-0.1, 0.1, (1, 1, 28, 28)).astype(np.float32),
        "images": (rng.integers(0, 256, (6, 1, 28, 28)) / 255).astype(np.float32),
        "labels": [3, 1, 4, 1, 5, 9],
        "target": 7,
        "epsilon": 0.1,
    }
    return Playground(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("language", messages.LANGUAGES)
@pytest.mark.parametrize("kind", ["full", "mixed", "stubs", "grader_error"])
def test_the_page_has_score_and_checks(kind: str, language: str):
    report = getattr(reports, kind)(language=language)
    page = Page(render_page(report))
    assert len([a for a in page.all("details") if a.get("class") == "check"]) == len(report.checks)
    for check in report.checks:
        assert messages.title(check.id, language) in page.text
    assert page.all("html")[0]["lang"] == messages.ui("html_language", language)
    if report.score is None:
        assert messages.ui("not_graded_line", language) in page.text
        assert f"0 / {report.max_score}" not in page.text
    else:
        assert messages.ui("score_line", language, score=report.score, max_score=100) in page.text


def test_the_surroundings_can_have_another_language():
    assert "你的报告" in render_page(reports.full(), language="zh")


def test_a_run_inside_the_grader_is_refused():
    with pytest.raises(ExportError, match="--in-process"):
        render_page(reports.full(isolation="none"))


def test_hostile_text_stays_text():
    hostile = reports.mixed(submission="<script>alert(4)</script>", review=("<b onclick=alert(5)>look</b>",))
    page = Page(
        render_page(
            hostile, playground=playground(), sources={"invisible_trigger.py": "</code><img src=x>\n" * 99}
        )
    )
    plain = Page(render_page(reports.full(), playground=playground()))
    assert len(page.all("script")) == len(plain.all("script")) == 3
    assert not page.all("img")[1:]  # the one of the dialog
    assert not [key for _, attributes in page.elements for key in attributes if key.startswith("on")]
    for text in (
        "<script>alert(1)</script>",
        "<script>alert(4)</script>",
        "<b onclick=alert(5)>look</b>",
        "</code><img src=x>",
    ):
        assert text in page.text
    assert "{{ 7*7 }}" in page.text
    assert "\x1b" not in page.text
    assert "\u202e" not in page.text


def test_the_policy_allows_exactly_the_inlined_scripts():
    html = render_page(reports.full(), playground=playground())
    policy = next(a["content"] or "" for a in Page(html).all("meta") if a.get("http-equiv"))
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert len(scripts) == 2
    for text in (*scripts, *re.findall(r"<style>(.*?)</style>", html, re.DOTALL)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy


def test_nothing_is_fetched():
    html = render_page(reports.mixed(), playground=playground())
    for _, attributes in Page(html).elements:
        for key in ("src", "href"):
            assert (attributes.get(key) or "#").startswith(("#", "data:image/png;base64,"))
    for path in TEMPLATES.glob("*.css"):
        assert "url(" not in path.read_text(encoding="utf-8")


def test_the_lines_at_fault_are_shown():
    source = "".join(f"line {number}\n" for number in range(1, 100))
    page = Page(render_page(reports.mixed(), sources={"invisible_trigger.py": source}))
    assert "line 33" in page.text
    assert "line 99" not in page.text
    short = Page(render_page(reports.mixed(), sources={"invisible_trigger.py": "too short\n"}))
    assert "too short" not in short.text


class TestPictures:
    def report(self, name: str) -> Report:
        return reports.full(
            pictures={"invisible_trigger.trigger": name, "invisible_trigger.unknown_kind": name}
        )

    def test_are_inlined_with_texts(self, tmp_path: Path):
        (tmp_path / "trigger.png").write_bytes(PNG)
        images = Page(render_page(self.report("trigger.png"), tmp_path)).all("img")
        assert images[0]["src"] == f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
        assert (images[0]["width"], images[0]["height"]) == ("1", "1")
        assert images[0]["alt"] == messages.built("invisible_trigger", "en")["pictures"]["trigger"]["alt"]
        assert images[1]["alt"] == "unknown kind"

    def test_a_missing_one_is_an_error_that_names_it(self, tmp_path: Path):
        with pytest.raises(ExportError, match=r"gone\.png"):
            render_page(self.report("gone.png"), tmp_path)

    def test_no_file_outside_the_folder_is_read(self, tmp_path: Path):
        (tmp_path / "outside.png").write_bytes(PNG)
        folder = tmp_path / "report"
        folder.mkdir()
        (folder / "link.png").symlink_to(tmp_path / "outside.png")
        for name in ("../outside.png", str(tmp_path / "outside.png"), "link.png"):
            with pytest.raises(ExportError):
                render_page(self.report(name), folder)

    def test_only_png(self, tmp_path: Path):
        (tmp_path / "a.png").write_bytes(b"<svg onload=alert(1)>")
        with pytest.raises(ExportError, match="not a PNG"):
            render_page(self.report("a.png"), tmp_path)

    def test_not_endless(self, tmp_path: Path):
        (tmp_path / "a.png").write_bytes(PNG + bytes(5 * 2**20))
        with pytest.raises(ExportError, match="larger"):
            render_page(self.report("a.png"), tmp_path)


class TestPlayground:
    def test_its_data_is_one_safe_script(self):
        text = playground().to_json("en")
        assert not set(text) & set("<>&\u2028\u2029\n")
        data = json.loads(text)
        assert sum(len(base64.b64decode(weight)) for weight in data["weights"].values()) == 4 * 61_706
        assert len(base64.b64decode(data["images"])) == 6 * 28 * 28

    def test_any_memory_order_gives_the_same(self):
        ordered = playground()
        turned = {name: np.asfortranarray(array) for name, array in ordered.weights.items()}
        assert replace(ordered, weights=turned).to_json("en") == ordered.to_json("en")

    def test_it_is_the_model_of_the_lab(self):
        from grader.lab import models

        assert (playground_module.MEAN, playground_module.STD) == (models.MNIST_MEAN, models.MNIST_STD)
        parameters = models.LeNet5().named_parameters()
        assert {name: tuple(p.shape) for name, p in parameters} == dict(SHAPES)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"weights": {}}, r"not LeNet-5's weights"),
            ({"weights": dict.fromkeys(SHAPES, np.zeros(3))}, "has the shape"),
            ({"delta": np.zeros(3)}, "delta"),
            ({"delta": np.full((28, 28), np.nan)}, "not finite"),
            ({"labels": [1]}, "do not fit"),
            ({"images": np.full((6, 28, 28), 1.5)}, "must lie in"),
            ({"target": 10}, "out of range"),
            ({"epsilon": -1.0}, "out of range"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, changes: dict[str, object], message: str):
        with pytest.raises(ExportError, match=message):
            playground(**changes)
