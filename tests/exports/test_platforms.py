"""The exports for grading platforms: what each reader demands, and that it gets the core score."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from grader.exports import ExportError, autolab, classroom50, gradescope, reporter, submitty, table
from grader.outcome import Report
from tests.exports import reports
from tests.exports.reports import WHO

REPORTS: dict[str, Callable[..., Report]] = {
    "full": reports.full,
    "mixed": reports.mixed,
    "stubs": reports.stubs,
}


class TestReporter:
    @staticmethod
    def read(environment: dict[str, str], runners: str) -> tuple[int, int, float]:
        """As the reporter does it: (points and maximum of the notice, points of the table that counts tests)."""
        points, maximum, table_points = 0, 0, 0.0
        for runner in filter(None, re.split(r"[\s,]", runners)):
            results = json.loads(base64.b64decode(environment[f"{runner.strip().upper()}_RESULTS"]))
            passed = sum(test["status"] == "pass" for test in results["tests"])
            table_points += passed / len(results["tests"]) * results["max_score"]
            if results["max_score"]:
                maximum += results["max_score"]
                points += sum(test["score"] for test in results["tests"])
        return points, maximum, table_points

    @pytest.mark.parametrize("kind", ["full", "mixed", "stubs"])
    def test_notice_and_table_give_the_core_score(self, kind: str):
        report = REPORTS[kind]()
        points, maximum, table_points = self.read(reporter.environment(report), reporter.runners(report))
        assert (points, maximum) == (report.score, report.max_score)
        assert table_points == pytest.approx(points)

    def test_a_grader_error_makes_no_notice(self):
        report = reports.grader_error()
        assert self.read(reporter.environment(report), reporter.runners(report)) == (0, 0, 0)
        assert {result["status"] for result in reporter.results(report).values()} == {"error"}

    def test_ids_and_variables_are_what_the_action_takes(self):
        assert re.fullmatch(r"([a-zA-Z0-9]+,)*[a-zA-Z0-9]+", reporter.runners(reports.mixed()))
        for name, value in reporter.environment(reports.mixed()).items():
            assert re.fullmatch(r"[A-Z0-9]+_RESULTS", name)
            assert re.fullmatch(r"[A-Za-z0-9+/=]+", value)

    def test_what_it_prints_is_no_command(self):
        for result in reporter.results(reports.mixed()).values():
            for test in result["tests"]:
                for line in f"Error: {test['message']}\n{test['name']}\n{test['filename']}".splitlines():
                    assert not line.lstrip().startswith("::")
                    assert "##[" not in line


class TestClassroom50:
    KEYS = frozenset(
        (
            "schema",
            "classroom",
            "assignment",
            "assignment_type",
            "owner",
            "submission",
            "commit",
            "release",
            "review",
        )
    ) | {"datetime", "score", "max-score", "tests"}

    @pytest.mark.parametrize("kind", ["full", "mixed", "stubs"])
    def test_the_reader_accepts_it(self, kind: str):
        report = REPORTS[kind]()
        document = classroom50.result(report, WHO)
        assert set(document) == self.KEYS
        assert document["schema"] == "classroom50/result/v1"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", document["datetime"])
        assert document["submission"].startswith("submit/")
        for key in ("classroom", "assignment", "owner", "commit", "release", "review"):
            assert isinstance(document[key], str)
            assert document[key]
        for item in (document, *document["tests"]):
            assert type(item["score"]) is int
            assert type(item["max-score"]) is int
            assert 0 <= item["score"] <= item["max-score"]
        for test in document["tests"]:
            assert test["test-name"]
            assert type(test["passed"]) is bool
        assert sum(test["score"] for test in document["tests"]) == document["score"] == report.score

    def test_graded_at_is_optional_and_in_utc(self):
        document = classroom50.result(reports.full(), WHO, graded=datetime(2026, 11, 22, 1, 2, 3, tzinfo=UTC))
        assert document["graded_at"] == "2026-11-22T01:02:03Z"

    def test_identity_from_the_environment(self):
        environment = {
            "CLASSROOM": "course",
            "ASSIGNMENT": "backdoor-lab",
            "USERNAME": "student",
            "SUBMISSION_TAG": "submit/x",
            "COMMIT_URL": "https://c",
            "RELEASE_URL": "https://r",
        }
        who = classroom50.identity(environment, submitted=WHO.submitted)
        assert (who.owner, who.assignment_type, who.review) == ("student", "individual", "https://c")
        for name in environment:
            with pytest.raises(ExportError, match=name):
                classroom50.identity({**environment, name: ""}, submitted=WHO.submitted)
        with pytest.raises(ExportError, match="submit/"):
            classroom50.identity({**environment, "SUBMISSION_TAG": "main"}, submitted=WHO.submitted)
        with pytest.raises(ExportError, match="time zone"):
            classroom50.identity(environment, submitted=datetime(2026, 1, 1))

    def test_the_release_text_fits(self):
        assert len(classroom50.release_body(reports.mixed())) < 125_000


class TestGradescope:
    @pytest.mark.parametrize("kind", ["full", "mixed", "stubs"])
    def test_the_reader_accepts_it(self, kind: str):
        report = REPORTS[kind]()
        document = gradescope.results(report)
        assert document["score"] == report.score
        assert {test["visibility"] for test in document["tests"]} == {"visible"}
        for test in document["tests"]:
            assert test["status"] in ("passed", "failed")
            assert test["output_format"] == "text"
            assert 0 <= test["score"] <= test["max_score"]
        core = sum(test["score"] for test in document["tests"])
        assert core - (report.bonus or 0) == report.score

    def test_leaderboard_has_who_reached_the_goal(self):
        board = gradescope.results(reports.full(challenge=reports.RANKED))["leaderboard"]
        assert board == [
            {"name": "epsilon (grey levels)", "value": 3, "order": "asc"},
            {"name": "steps", "value": 2800, "order": "asc"},
            {"name": "ASR", "value": 99.71},
            {"name": "ACC drop (points)", "value": 0.04, "order": "asc"},
        ]
        assert "leaderboard" not in gradescope.results(reports.full())

    @pytest.mark.parametrize("status", ["missed", "unusable", "error"])
    def test_leaderboard_has_nobody_else(self, status: str):
        document = gradescope.results(
            reports.full(challenge=replace(reports.RANKED, status=status, text="No."))
        )
        assert "leaderboard" not in document
        assert "Leaderboard: No." in document["output"]


class TestOthers:
    def test_autolab_is_one_line_of_json(self):
        line = autolab.last_line(reports.mixed())
        assert "\n" not in line
        assert json.loads(line)["scores"]["Part 1"] == reports.mixed().score

    def test_submitty(self):
        document = submitty.validation_results(reports.mixed())
        assert document["status"] == "success"
        assert document["data"]["score"] == pytest.approx((reports.mixed().score or 0) / 100)
        assert document["data"]["status"] in ("information", "failure", "warning", "success")
        failed = submitty.validation_results(reports.grader_error())
        assert failed["status"] == "failure"
        assert "data" not in failed

    def test_csv_cells_are_no_formulas_and_an_error_is_no_zero(self):
        evil = [
            reports.full(submission=name, commit=name)
            for name in ("=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "＝1", '"a,b\n=2"')
        ]
        rows = list(csv.reader(io.StringIO(table.to_csv([*evil, reports.grader_error()]))))
        assert rows[0] == list(table.COLUMNS)
        assert {len(row) for row in rows} == {len(table.COLUMNS)}
        for row in rows[1:]:
            for cell in row:
                assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝"))
        last = dict(zip(rows[0], rows[-1], strict=True))
        assert (last["status"], last["score"], last["bonus"]) == ("grader_error", "", "")
        assert last["invisible_trigger.apply_trigger.adds_delta"] == ""
        assert dict(zip(rows[0], rows[1], strict=True))["score"] == "100"
