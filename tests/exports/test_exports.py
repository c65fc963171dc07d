"""Every export: golden files, what its reader accepts, and hostile text that stays text.

After a wanted change write the golden files anew with ``UPDATE_GOLDEN=1 python -m pytest tests/exports``, and look at
the difference.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import re
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt

from grader.contract import PARTS
from grader.exports import (
    ExportError,
    NotGraded,
    actions,
    autolab,
    classroom50,
    gradescope,
    html,
    junit,
    reporter,
    submitty,
    table,
    terminal,
)
from grader.outcome import Report, Status
from tests.exports import reports

GOLDEN = Path(__file__).with_name("golden")


def as_json(data: Any) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


EXPORTS: dict[str, Callable[[Report], str]] = {
    "terminal.txt": terminal.render,
    "junit.xml": junit.render,
    "summary.md": actions.summary,
    "annotations.txt": lambda report: "".join(f"{line}\n" for line in actions.annotate(report)),
    "status.json": lambda report: as_json(actions.commit_status(report)),
    "reporter.json": lambda report: as_json(reporter.results(report)),
    "classroom50.json": lambda report: as_json(classroom50.result(report, reports.WHO)),
    "gradescope.json": lambda report: as_json(gradescope.results(report)),
    "autolab.txt": autolab.last_line,
    "submitty.json": lambda report: as_json(submitty.validation_results(report)),
    "grades.csv": lambda report: table.to_csv([report]),
}
OTHERS = {name: export for name, export in EXPORTS.items() if name != "terminal.txt"}
REPORTS: dict[str, Callable[..., Report]] = {
    "full": reports.full,
    "mixed": reports.mixed,
    "stubs": reports.stubs,
    "grader_error": reports.grader_error,
}
HAS_NO_FORM = {"classroom50.json", "gradescope.json", "autolab.txt"}


@pytest.mark.parametrize("name", EXPORTS)
def test_golden(name: str):
    path = GOLDEN / f"mixed.{name}"
    # without the line endings of CSV: git may change those of a file
    text = EXPORTS[name](reports.mixed(review=("Somebody should look.",))).replace("\r\n", "\n")
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("kind", REPORTS)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_same_report_same_text(name: str, kind: str, language: str):
    report = REPORTS[kind](language=language)
    if kind == "grader_error" and name in HAS_NO_FORM:
        pytest.skip("this reader has no form for a grader error")
    assert OTHERS[name](report) == OTHERS[name](Report.from_json(json.loads(json.dumps(report.to_json()))))


@pytest.mark.parametrize("name", OTHERS)
def test_a_run_inside_the_grader_is_refused(name: str):
    with pytest.raises(ExportError, match="--in-process"):
        OTHERS[name](reports.full(isolation="none"))


@pytest.mark.parametrize("name", sorted({*HAS_NO_FORM, "submitty.json", "status.json", "reporter.json"}))
def test_a_report_of_some_checks_is_no_score_of_the_whole(name: str):
    """A bonus part alone has 0 of 100 points in the core part, and that is nobody's grade."""
    with pytest.raises(ExportError, match="lacks 20 checks of the core part"):
        EXPORTS[name](only_fine_pruning())


def only_fine_pruning() -> Report:
    whole = reports.full()
    return dataclasses.replace(whole, checks=tuple(c for c in whole.checks if c.part == "fine_pruning"))


@pytest.mark.parametrize("render", [terminal.render, actions.summary, html.render_page])
def test_where_only_some_checks_ran_their_points_are_shown_and_no_score(render: Callable[[Report], str]):
    shown = render(only_fine_pruning())
    assert "Points of the checks that were asked for: 10 of 10" in shown
    assert "Score: 0" not in shown
    assert "Score: 100 of 100" in render(reports.full())


def test_a_summary_that_counts_is_refused_for_some_checks():
    with pytest.raises(ExportError, match="lacks 20 checks of the core part"):
        actions.summary(only_fine_pruning(), advisory=False)


def test_the_terminal_shows_a_run_inside_the_grader_and_says_so():
    assert "for debugging only" in " ".join(terminal.render(reports.full(isolation="none")).split())


@pytest.mark.parametrize("name", sorted(HAS_NO_FORM))
def test_where_a_grader_error_has_no_form_there_is_no_result(name: str):
    with pytest.raises(NotGraded, match="zero would be wrong"):
        EXPORTS[name](reports.grader_error())


def test_no_export_loads_torch():
    code = (
        "import sys, importlib, pkgutil, grader.exports as e\n"
        "[importlib.import_module(m.name) for m in pkgutil.walk_packages(e.__path__, 'grader.exports.')]\n"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


class TestTerminal:
    @pytest.mark.parametrize("kind", REPORTS)
    @pytest.mark.parametrize("language", ["en", "zh"])
    @pytest.mark.parametrize("width", [60, 80, 120])
    def test_fits_its_width(self, kind: str, language: str, width: int):
        for line in terminal.render(REPORTS[kind](language=language), width=width).splitlines():
            cells = sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)
            assert cells <= width, line

    def test_without_colour_there_is_no_escape(self):
        assert "\x1b" not in terminal.render(reports.mixed())

    def test_with_colour_only_ours(self):
        text = terminal.render(reports.mixed(), colour=True)
        assert set(re.findall(r"\x1b[^m]*m?", text)) <= set(re.findall(r"\x1b\[[0-9;]*m", text))
        plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
        assert [line.rstrip() for line in plain.splitlines()] == terminal.render(reports.mixed()).splitlines()

    @pytest.mark.parametrize("width", range(50, 120, 7))
    def test_no_line_is_a_workflow_command(self, width: int):
        for line in terminal.render(reports.mixed(), width=width).splitlines():
            assert not line.lstrip().startswith("::")
            assert "##[" not in line

    def test_one_cause_is_told_once(self):
        text = terminal.render(reports.stubs())
        functions = sum(len(part.functions) for part in PARTS if part.checks)
        assert text.count("This function is still the stub.") == functions

    def test_states_are_words_too(self):
        text = terminal.render(reports.grader_error()) + terminal.render(reports.mixed())
        for word in ("passed", "failed", "skipped", "grader error"):
            assert word in text

    def test_a_grader_error_shows_no_points(self):
        text = terminal.render(reports.grader_error())
        assert "Not graded" in text
        assert "/ 100" not in text

    def test_notices(self):
        text = terminal.render(reports.full(isolation="process", review=("Look here.",)))
        assert "no claim of security" in text.replace("\n", " ")
        assert "Look here." in text
        assert "bubblewrap" not in terminal.render(reports.full())

    def test_a_terminal_without_unicode(self):
        from rich.console import Console

        out = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
        terminal.show(reports.mixed(), Console(file=out, width=80))
        out.flush()


class TestJUnit:
    @pytest.mark.parametrize("kind", REPORTS)
    def test_counts_are_those_of_the_report(self, kind: str):
        report = REPORTS[kind]()
        root = ElementTree.fromstring(junit.render(report))
        assert len(root.findall(".//testcase")) == len(report.checks) == int(root.attrib["tests"])
        for tag, status in (("failure", Status.FAILED), ("skipped", Status.SKIPPED), ("error", Status.ERROR)):
            assert len(root.findall(f".//{tag}")) == sum(c.status is status for c in report.checks)

    def test_hostile_text_stays_text(self):
        root = ElementTree.fromstring(junit.render(reports.mixed()))
        assert {element.tag for element in root.iter()} == {
            "testsuites", "testsuite", "properties", "property", "testcase", "failure", "skipped",
        }  # fmt: skip


class TestActions:
    def test_the_summary_is_only_our_markup(self):
        """Parsed as Markdown, the hostile report has the same structure as one with a harmless message."""

        def structure(report: Report) -> list[tuple[str, str]]:
            tokens = MarkdownIt("commonmark").enable("table").parse(actions.summary(report))
            flat = [t for token in tokens for t in (token, *(token.children or ()))]
            return [(t.type, t.tag) for t in flat if t.type not in ("text", "softbreak")]

        hostile = reports.mixed()
        checks = [{**check, "got": f"words {i}"} for i, check in enumerate(hostile.to_json()["checks"])]
        harmless = Report.from_json({**hostile.to_json(), "checks": checks})
        kinds = [kind for kind, _ in structure(hostile)]
        assert sorted(kinds) == sorted(kind for kind, _ in structure(harmless))
        assert "html_inline" not in kinds

    def test_the_summary_shows_hostile_text_as_it_is(self):
        html = MarkdownIt("commonmark").enable("table").render(actions.summary(reports.mixed()))
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
        assert "<script" not in html
        assert "<img" not in html
        assert "href" not in html

    @pytest.mark.parametrize("limit", [900, 5_000, 20_000, actions.SUMMARY_LIMIT])
    def test_the_summary_keeps_its_limit_and_closes_its_fences(self, limit: int):
        text = actions.summary(reports.mixed(), limit=limit)
        assert len(text.encode()) <= limit
        assert text.count("<details>") == text.count("</details>")
        assert ("report.json" in text) == (limit < 10_000)

    def test_endless_messages_still_fit(self):
        endless = {"type": "E", "message": "`|<b>漢" * 500}
        check_id = "invisible_trigger.apply_trigger.adds_delta"
        faults: dict[str, reports.Fault] = {check_id: (Status.FAILED, "exception", endless, 3)}
        checks = reports.report(faults).checks
        huge = reports.report(faults).to_json()
        huge["checks"] = [{**c, "got": c["got"] * 2000} for c in huge["checks"]]
        assert len(actions.summary(Report.from_json(huge)).encode()) <= actions.SUMMARY_LIMIT
        assert len(checks) == len(huge["checks"])

    def test_links_must_be_plain(self):
        assert "](https://github.com/o/r/x)" in actions.summary(
            reports.full(), links={"pictures [all]": "https://github.com/o/r/x"}
        )
        for address in ("javascript:alert(1)", "http://x", "https://x)[y](https://z"):
            with pytest.raises(ValueError, match="https"):
                actions.summary(reports.full(), links={"a": address})

    @pytest.mark.parametrize(
        ("kind", "state"),
        [("full", "success"), ("mixed", "failure"), ("stubs", "failure"), ("grader_error", "error")],
    )
    def test_a_commit_status(self, kind: str, state: str):
        status = actions.commit_status(REPORTS[kind]())
        assert status["state"] == state
        assert len(status["description"]) <= 140
        assert ("of 100" in status["description"]) == (kind != "grader_error")

    def test_annotations_are_one_command_a_line(self):
        commands = actions.annotate(reports.mixed())
        assert 0 < len(commands) <= actions.MAX_ANNOTATIONS
        for command in commands:
            assert re.fullmatch(
                r"::error (file=assignment/invisible_trigger\.py,line=\d+,)?title=[^:,\n\r]+::[^\n\r]+",
                command,
            )

    def test_a_file_name_cannot_leave_its_property(self):
        data = reports.mixed().to_json()
        for check in data["checks"]:
            if check["location"]:
                check["location"]["file"] = "x,line=1::warning::y\n::error::z"
        for command in actions.annotate(Report.from_json(data)):
            properties = command.removeprefix("::error ").split("::")[0]
            assert "%3A%3Awarning" in properties or "file=" not in properties
            assert "\n" not in command

    def test_printed_text_is_no_command(self):
        for line in actions.log(reports.HOSTILE).splitlines():
            assert line.startswith("| ")
            assert "##[" not in line
