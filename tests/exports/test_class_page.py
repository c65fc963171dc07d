"""The page of a class: what it says, that nothing in it is obeyed, and how it works in headless Chromium."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from grader import messages
from grader.contract import PARTS
from grader.exports.class_page import Row, render_class
from tests.exports import reports
from tests.exports.test_html import Page
from tests.exports.test_html_browser import CONTRAST, OVERFLOW, Browser, Opened, browser  # noqa: F401 a fixture

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&"
IDS = [check.id for check in PARTS[0].checks]


def summary(**changes: Any) -> dict[str, Any]:
    """A summary with something of everything; changes replace entries."""
    bins = {f"{n}-{n + 9}": n // 10 for n in range(0, 100, 10)} | {"100": 12}
    content: dict[str, Any] = {
        "grader": {"version": "0.1.0", "hash": "0123456789abcdef"},
        "spec": {"name": f"hidden {EVIL}", "hash": "0"},
        "submissions": 30,
        "statuses": {"graded": 26, "set_aside": 1, "intake_problem": 2, "unfinished": 0, "no_submission": 1},
        "reconciled": True,
        "missing": [],
        "scores": {"max": 100, "mean": 71.25, "median": 80, "histogram": bins},
        "checks": [{"id": id_, "failed": 9 - n, "ran": 26} for n, id_ in enumerate(IDS[:9])],
        "review": [{"login": "alice", "reasons": ["Look here.", EVIL]}],
        "set_aside": [{"login": "bob", "errors": [f"OSError: {EVIL}"]}],
        "intake_problems": [{"login": "carol", "source": "carol.zip", "problem": f"a damaged zip: {EVIL}"}],
        "no_submission": ["yan"],
        "not_on_roster": ["zed"],
        "identical": [["dave", "erin"]],
        "notes": [{"login": "dave", "notes": ["two files of this name"]}],
        "ignored": [EVIL, "x" * 300],
    }
    return {**content, **changes}


def rows() -> list[Row]:
    found = [
        Row(
            "alice",
            "Ann Ångström",
            "graded",
            100,
            10,
            100,
            False,
            "",
            reports.full().checks,
            True,
            reports.RANKED,
        ),
        Row("Bob", EVIL, "graded", 41, 0, 60, True, EVIL, reports.mixed().checks, True),
        Row("carol", "", "intake_problem", None, None, None, False, "a damaged zip"),
        Row("dé ja/%?#", "", "graded", 9, 0, 9, False, "", reports.stubs().checks, True),
    ]
    return found + [
        Row(f"student-{n}", f"Name {n}", "graded", n, 0, n, False, "", (), True) for n in range(40)
    ]


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_it_has_a_row_a_student_and_links_to_reports(language: str):
    page = Page(render_class(summary(), rows(), language))
    links = [str(a.get("href")) for a in page.all("a")]
    addresses = list(
        dict.fromkeys(link for link in links if link.endswith("report.html"))
    )  # in the ranking, too
    assert addresses[:2] == ["alice/report.html", "Bob/report.html"]
    assert "d%C3%A9%20ja/%25%3F%23/report.html" in addresses
    assert len(addresses) == len(rows()) - 1
    assert "71.25" in page.text
    assert "9 / 26" in page.text
    assert "Ann Ångström" in page.text
    assert messages.challenge("levels", {}, language) in page.text  # the ranking


def test_hostile_text_stays_text():
    page = Page(render_class(summary(), rows(), "en"))
    assert page.all("img") == []
    assert len(page.all("script")) == 2  # our texts, our script
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert "<script>alert(1)</script>" in page.text


def test_an_empty_class_and_one_that_is_not_finished():
    nothing = {"max": 100, "mean": None, "median": None, "histogram": {"0-9": 0, "100": 0}}
    keys = (
        "review",
        "set_aside",
        "intake_problems",
        "no_submission",
        "not_on_roster",
        "identical",
        "notes",
        "ignored",
    )
    empty: dict[str, Any] = {key: [] for key in keys}
    text = render_class(summary(scores=nothing, checks=[], reconciled=False, **empty), [], "en")
    assert "start the same command again" in text
    assert "For a person" not in text


def test_a_missing_score_is_no_zero():
    page = render_class(summary(), [Row("carol", "", "set_aside", None, None, None, False, "")], "en")
    assert '<td class="number" data-value="-1">–</td>' in re.sub(r"\s+<", "<", page)


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_what_a_person_decided_is_there_with_its_reason(language: str):
    row = Row("alice", "", "graded", 60, 50, 60, True, "", (), True, bonus_counts=0, reason=f"copied {EVIL}")
    text = " ".join(Page(render_class(summary(), [row], language)).text.split())
    decided = messages.ui("class.overridden", language)
    assert f"60 50 60 + 0 ✎ {decided}" in text
    assert f"{decided} (copied {EVIL})" in text
    assert messages.ui("class.identical", language) in text


def test_a_decision_of_nobody_is_not_told():
    rows_ = [Row("alice", "", "graded", 60, 50, 60, False, "", (), True, bonus_counts=50)]
    text = " ".join(Page(render_class(summary(), rows_, "en")).text.split())
    assert "60 50 60 + 50" in text
    assert messages.ui("class.overridden", "en") not in text


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("class")
    for language in messages.LANGUAGES:
        (folder / f"class-{language}.html").write_text(
            render_class(summary(), rows(), language), encoding="utf-8"
        )
    return folder


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_the_page_is_sound(browser: Browser, site: Path, language: str):  # noqa: F811
    """On a phone and on a desktop, light and dark; the table scrolls in a box of its own."""
    with Opened(browser, site, f"class-{language}") as opened:
        for width, height in ((360, 640), (1280, 900)):
            opened.page.set_viewport_size({"width": width, "height": height})
            assert opened.page.evaluate("document.documentElement.scrollWidth") == width
            assert opened.page.evaluate(OVERFLOW) == []
        assert opened.page.evaluate("document.querySelector('.scroll').scrollWidth") <= 1280
        for scheme in ("light", "dark"):
            opened.page.emulate_media(color_scheme=scheme)
            assert opened.page.evaluate(CONTRAST) == []
        assert opened.problems == []
        assert all(url.startswith(("file:", "data:")) for url in opened.requests)


def test_sorting_and_filtering_by_keyboard(browser: Browser, site: Path):  # noqa: F811
    def column(number: int) -> list[str]:
        shown = "document.querySelectorAll('.grades tbody tr:not([hidden])')"
        cells: list[str] = page.evaluate(
            f"(n) => [...{shown}].map((r) => r.cells[n].innerText.trim())", number
        )
        return cells

    with Opened(browser, site, "class-en") as opened:
        page = opened.page
        page.locator("th[data-column=score] button").focus()
        page.keyboard.press("Enter")
        rising = column(3)
        assert rising[0] == "–"
        assert rising[1:] == sorted(rising[1:], key=int)
        page.keyboard.press("Enter")
        assert column(3) == rising[::-1] or sorted(column(3)) == sorted(rising)
        assert column(3)[0] == "100"
        assert page.get_attribute("th[data-column=score]", "aria-sort") == "descending"
        page.locator("th[data-column=login] button").click()
        assert column(0)[:3] == ["alice", "Bob", "carol"]  # not by capitals
        assert column(0).index("student-9") < column(0).index("student-10")  # numbers as numbers
        assert page.get_attribute("th[data-column=score]", "aria-sort") is None
        page.locator("#filter").fill("ångström")
        assert column(0) == ["alice"]
        assert page.inner_text("#shown") == "1 of 44"
        page.locator("#theme").click()
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        assert opened.problems == []
