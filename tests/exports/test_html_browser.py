"""The report page in headless Chromium: nothing breaks, all can be reached, and the playground computes right."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from grader.exports.html import render_page
from grader.lab.models import LeNet5
from tests.exports import reports
from tests.exports.test_html import playground

# Playwright is optional, so its types are not known everywhere.
Browser = Any
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
KINDS = ("full", "mixed", "stubs", "grader_error")

# Text whose contrast with what lies behind it is below WCAG's 4.5 (3 for large text).
CONTRAST = """() => {
  const channel = (v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const bad = [];
  for (const element of document.querySelectorAll("body *:not(script):not(style)")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !element.checkVisibility() || element.closest("dialog")) continue;
    const style = getComputedStyle(element);
    const colour = parse(element instanceof SVGElement ? style.fill : style.color);
    const [a, b] = [luminance(colour), luminance(ground(element))].sort((x, y) => y - x);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < (large ? 3 : 4.5)) bad.push(`${element.tagName} ${element.className} ${ratio.toFixed(2)}`);
  }
  return bad;
}"""
# Elements that stick out at the right; code, tables and wide pictures scroll inside their own boxes.
OVERFLOW = """() => [...document.querySelectorAll("body *")].filter((e) => {
  const box = e.getBoundingClientRect();
  return box.width && box.right > innerWidth + 1 && !e.closest("pre, .scroll, .zoom, .hidden");
}).map((e) => `${e.tagName} ${e.className}`)"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine: apt-get install chromium")
    reason = "Playwright is not installed: pip install -e '.[browser]'"
    sync_api = pytest.importorskip("playwright.sync_api", reason=reason)
    with sync_api.sync_playwright() as driver:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of each kind in both languages, with pictures as the lab draws them."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    folder = tmp_path_factory.mktemp("site")
    for name, size in (("trigger.png", (5, 4)), ("samples.png", (10, 3))):
        FigureCanvasAgg(Figure(figsize=size)).print_png(folder / name)
    pictures = {
        "invisible_trigger.trigger": "trigger.png",
        "invisible_trigger.triggered_samples": "samples.png",
    }
    source = {"invisible_trigger.py": "x = 1  # " + "long " * 60 + "\n" + "<script>alert(6)</script>\n" * 120}
    for language in ("en", "zh"):
        for kind in KINDS:
            more = {"challenge": reports.RANKED} if kind == "full" else {}
            report = getattr(reports, kind)(
                language=language, pictures=pictures, submission="a" * 200, **more
            )
            page = render_page(report, folder, playground(), sources=source)
            (folder / f"{kind}-{language}.html").write_text(page, encoding="utf-8")
    return folder


class Opened:
    """A page with what went wrong on it and what it asked the network for."""

    def __init__(
        self, browser: Browser, site: Path, name: str, *, width: int = 1280, scheme: Any = "light"
    ) -> None:
        self.problems: list[str] = []
        self.requests: list[str] = []
        self.page = browser.new_page(viewport={"width": 1280, "height": 900})
        self.page.on("console", lambda message: self.problems.append(message.text))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("dialog", self._dismiss)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto((site / f"{name}.html").as_uri())

    def _dismiss(self, dialog: Any) -> None:
        self.problems.append(dialog.message)
        dialog.dismiss()

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self.page.close()


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_page_is_sound(browser: Browser, site: Path, kind: str, language: str):
    """On a phone and on a desktop, light and dark, with everything unfolded."""
    with Opened(browser, site, f"{kind}-{language}") as opened:
        page = opened.page
        assert page.locator("#built img").count() == 2
        assert page.evaluate("[...document.querySelectorAll('#built img')].every((i) => i.naturalWidth > 0)")
        page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        for width, height in ((360, 640), (1280, 900)):
            page.set_viewport_size({"width": width, "height": height})
            assert page.evaluate("document.documentElement.scrollWidth") == width
            assert page.evaluate(OVERFLOW) == []
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate(CONTRAST) == []
        assert opened.problems == []
        assert all(url.startswith(("file:", "data:")) for url in opened.requests)


def test_the_contrast_measure_measures(browser: Browser, site: Path):
    with Opened(browser, site, "full-en") as opened:
        opened.page.evaluate("document.querySelector('h1').style.color = '#999'")
        assert len(opened.page.evaluate(CONTRAST)) == 1


def test_every_control_and_picture_has_a_name(browser: Browser, site: Path):
    with Opened(browser, site, "mixed-en") as opened:
        page = opened.page
        nameless = page.evaluate(
            """() => [...document.querySelectorAll("button, input, canvas, svg[role=img], main img, dialog")].filter(
              (e) => !(e.getAttribute("aria-label") || e.alt || e.labels?.length || e.innerText?.trim()
                || e.closest("button")?.getAttribute("aria-label"))).map((e) => e.outerHTML.slice(0, 80))"""
        )
        assert nameless == []
        levels = page.evaluate(
            "[...document.querySelectorAll('h1,h2,h3,h4')].map((h) => Number(h.tagName[1]))"
        )
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))


def test_by_keyboard_alone(browser: Browser, site: Path):
    with Opened(browser, site, "mixed-en") as opened:
        page = opened.page
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.locator("#theme").focus()
        page.keyboard.press("Enter")
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        page.locator(".zoom").first.focus()
        page.keyboard.press("Enter")
        assert page.evaluate("document.getElementById('large').open")
        page.keyboard.press("Escape")
        assert not page.evaluate("document.getElementById('large').open")
        page.locator(".check summary").first.focus()
        page.keyboard.press("Enter")
        assert page.evaluate("document.querySelector('.check').open")
        assert opened.problems == []


def logits(images: np.ndarray) -> np.ndarray:
    """PyTorch's, of the playground's model. images: (N, 784) -> (N, 10)."""
    model = LeNet5()
    model.load_state_dict({name: torch.from_numpy(array) for name, array in playground().weights.items()})
    with torch.inference_mode():
        found: np.ndarray = model(torch.from_numpy(images.astype(np.float32)).view(-1, 1, 28, 28)).numpy()
    return found


def test_the_model_in_the_page_is_the_model_in_pytorch(browser: Browser, site: Path):
    rng = np.random.default_rng(0)
    images = np.concatenate(
        [
            playground().images.reshape(6, 784),
            rng.uniform(0, 1, (20, 784)),
            np.zeros((1, 784)),
            np.ones((1, 784)),
        ]
    ).astype(np.float32)
    with Opened(browser, site, "full-en") as opened:
        found = opened.page.evaluate("(xs) => xs.map((x) => [...backdoorLab.logits(x)])", images.tolist())
    expected = logits(images)
    assert np.abs(expected).max() > 5  # not all of them tiny
    np.testing.assert_allclose(np.array(found), expected, rtol=0, atol=1e-3)


def test_the_trigger_in_the_page_is_the_trigger(browser: Browser, site: Path):
    x, delta = playground().images.reshape(6, 784)[0], playground().delta.reshape(784)
    with Opened(browser, site, "full-en") as opened:
        found = opened.page.evaluate("(x) => [...backdoorLab.applyTrigger(x, 0.5)]", x.tolist())
    np.testing.assert_allclose(found, np.clip(x + 0.5 * delta, 0, 1), atol=1e-6)


def test_playing(browser: Browser, site: Path):
    """Choose an image and move the slider by keyboard, then draw: the table shows the model's answer every time."""
    images, delta = playground().images.reshape(6, 784), playground().delta.reshape(784)
    with Opened(browser, site, "full-en") as opened:
        page = opened.page

        def verdict() -> int:
            page.evaluate("() => new Promise(requestAnimationFrame)")
            return int(page.locator("#verdict").get_attribute("data-is") or -1)

        assert verdict() == logits(images[:1]).argmax()
        page.locator("#samples button").nth(4).focus()
        page.keyboard.press("Enter")
        assert verdict() == logits(images[4:5]).argmax()
        page.locator("#strength").focus()
        page.keyboard.press("End")
        triggered = np.clip(images[4:5] + delta, 0, 1)
        assert verdict() == logits(triggered).argmax()
        assert "100 %" in page.inner_text("#strength-text")
        assert page.inner_text("#spoken").strip()
        shown = page.evaluate(
            "[...document.getElementById('seen').getContext('2d').getImageData(0, 0, 28, 28).data]"
        )
        np.testing.assert_allclose(np.array(shown).reshape(784, 4)[:, 0], 255 * triggered[0], atol=0.51)

        page.locator("#pad").scroll_into_view_if_needed()
        box = page.locator("#pad").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.3)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.7, steps=8)
        page.mouse.up()
        assert page.locator("#samples button[aria-pressed=true]").count() == 0
        drawn = page.evaluate(
            "[...document.getElementById('pad').getContext('2d').getImageData(0, 0, 28, 28).data]"
        )
        assert max(drawn[::4]) == 255
        page.locator("#clear").click()
        assert "Draw a digit" in page.inner_text("#verdict")
        assert opened.problems == []


def test_without_scripts_the_report_is_still_whole(browser: Browser, site: Path):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / "mixed-en.html").as_uri())
    assert "41" in page.inner_text(".hero")
    assert "needs JavaScript" in page.inner_text("#playground")
    context.close()
