"""Figures, tables and pictures of a part: shown as the messages say, and nothing of what was not measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from grader import messages
from grader.contract import PARTS
from grader.exports import ExportError, figures, texts
from grader.exports.html import render_page
from grader.outcome import Reason, Status
from tests.exports import reports
from tests.exports.test_html import PNG, Page

PART = PARTS[0].name
TEXTS: dict[str, Any] = {
    "intro": "{turned:.0f} of {targets:.0f} targets turned.",
    "metrics": {
        "turned": {"name": "Turned", "value": "{turned:.0f}", "note": "of {targets:.0f}"},
        "share": {"name": "Change", "value": "{levels:.1f}", "note": "{not_measured}"},
        "gone": {"name": "Gone", "value": "{gone}"},
    },
    "tables": {
        "targets": {
            "caption": "Confidences",
            "columns": {
                "target": {"name": "Target", "value": "{target:.0f}"},
                "before": {"name": "Before", "value": "{before:.1%}"},
            },
        },
        "empty": {"caption": "Nothing", "columns": {}},
    },
    "pictures": {"poisons": {"caption": "{turned:.0f} poisons", "alt": "A grid."}},
}


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch):
    """A part that turned 3 of 4 targets, with a table whose second row lacks a number."""
    monkeypatch.setattr(messages, "built", lambda part, language: TEXTS)
    return reports.full(
        metrics={PART: {"turned": 3, "targets": 4, "share": 8 / 255}},
        tables={
            PART: {"targets": [{"target": 11, "before": 0.125}, {"target": 12}], "empty": [], "other": [{}]}
        },
        pictures={f"{PART}.poisons": "poisons.png"},
    )


def test_what_was_measured_is_shown_in_the_words_of_the_messages(report, tmp_path: Path):
    (tmp_path / "poisons.png").write_bytes(PNG)
    (part,) = figures.built(report, tmp_path, "en")
    assert part.intro == "3 of 4 targets turned."
    assert part.tiles == (figures.Tile("Turned", "3", "of 4"), figures.Tile("Change", "8.0", ""))
    header, rows = ("Target", "Before"), (("11", "12.5%"), ("12", "–"))
    assert part.tables == (figures.Table("Confidences", header, rows),)
    assert [(picture.caption, picture.alt) for picture in part.pictures] == [("3 poisons", "A grid.")]
    page = Page(render_page(report, tmp_path))
    for text in ("3 of 4 targets turned.", "Confidences", "12.5%", "3 poisons"):
        assert text in page.text
    assert page.all("img")[0]["alt"] == "A grid."


def test_nothing_measured_shows_nothing(report):
    assert figures.built(replace(report, metrics={}, tables={}), None, "en") == ()


def test_a_picture_of_no_part_is_refused(report, tmp_path: Path):
    with pytest.raises(ExportError, match="of no part"):
        figures.built(replace(report, pictures={"poisons": "poisons.png"}), tmp_path, "en")


def test_the_texts_are_of_parts_and_complete():
    for language in messages.LANGUAGES:
        for part in PARTS:
            built = messages.built(part.name, language)
            assert built.keys() <= {"intro", "metrics", "tables", "pictures"}
            assert all({"name", "value"} <= entry.keys() for entry in built.get("metrics", {}).values())
            assert all({"caption", "alt"} == entry.keys() for entry in built.get("pictures", {}).values())
            for table in built.get("tables", {}).values():
                assert table.keys() == {"caption", "columns"}
                assert all({"name", "value"} == column.keys() for column in table["columns"].values())
        assert messages._load(language)["built"].keys() <= {part.name for part in PARTS}


def test_a_part_is_attempted_unless_every_check_says_otherwise():
    assert all(part.attempted for part in texts.parts(reports.full()))
    checks = tuple(
        replace(c, status=Status.SKIPPED, points=0, reason=Reason.NOT_ATTEMPTED)
        for c in reports.full().checks
    )
    untouched = replace(reports.full(), checks=checks)
    assert not any(part.attempted for part in texts.parts(untouched))
    page = Page(render_page(untouched))
    assert "not attempted" in page.text
    assert not [a for a in page.all("details") if a.get("class") == "check"]
