"""``python -m grader export``: every format from a file, and what it says of a report that it cannot use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from grader.__main__ import main
from grader.exports.command import FORMATS, LARGEST_REPORT, RUNNERS_VARIABLE, TABLE, read_report
from grader.outcome import Report
from tests.exports import reports
from tests.exports.test_exports import EXPORTS, GOLDEN

CLASSROOM50 = {
    "CLASSROOM": "course",
    "ASSIGNMENT": "backdoor-lab",
    "OWNER": "student",
    "SUBMISSION_TAG": reports.WHO.submission,
    "COMMIT_URL": reports.WHO.commit,
    "RELEASE_URL": reports.WHO.release,
    "REVIEW_URL": reports.WHO.review,
}
# format -> its golden file, where the command adds nothing to the export
GOLDEN_FILES = {
    "terminal": "terminal.txt",
    "junit": "junit.xml",
    "actions-summary": "summary.md",
    "actions-annotations": "annotations.txt",
    "commit-status": "status.json",
    "classroom50": "classroom50.json",
    "gradescope": "gradescope.json",
    "autolab": "autolab.txt",
    "submitty": "submitty.json",
    "csv": "grades.csv",
}


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "report.json"
    reports.mixed(review=("Somebody should look.",)).write(path)
    return path


def export(path: Path, to: str, *more: str) -> int:
    return main(["export", "--report", str(path), "--to", to, *more])


@pytest.mark.parametrize("to", GOLDEN_FILES)
def test_from_a_file_as_from_memory(to: str, written: Path, monkeypatch: pytest.MonkeyPatch):
    for name, value in CLASSROOM50.items():
        monkeypatch.setenv(name, value)
    out = written.parent / "folder" / "out"
    assert export(written, to, "--out", str(out), "--submitted", "2026-11-20T12:00:00+01:00") == 0
    golden = (GOLDEN / f"mixed.{GOLDEN_FILES[to]}").read_text(encoding="utf-8")
    assert out.read_text(encoding="utf-8").replace("\r\n", "\n") == golden.rstrip("\n") + "\n"


def test_every_export_can_be_reached():
    assert set(GOLDEN_FILES.values()) | {"reporter.json"} == set(EXPORTS)
    assert {*GOLDEN_FILES, "reporter", "html", "classroom50-release"} == {*FORMATS, TABLE}


def test_printed_where_no_file_is_named(written: Path, capsysbinary: pytest.CaptureFixture[bytes]):
    assert export(written, "actions-summary", "--link", "pictures=https://example.org/x") == 0
    printed = capsysbinary.readouterr().out.decode("utf-8")
    assert "](https://example.org/x)" in printed
    assert "self-check" in printed
    assert export(written, "actions-summary", "--authoritative") == 0
    assert "self-check" not in capsysbinary.readouterr().out.decode("utf-8")


def test_what_is_too_long_is_cut_and_that_is_said(written: Path, capsysbinary: pytest.CaptureFixture[bytes]):
    assert export(written, "actions-summary", "--limit", "2000") == 0
    printed = capsysbinary.readouterr().out
    assert len(printed) <= 2000
    assert "the rest is in report.json" in printed.decode("utf-8")


def test_the_reporters_variables(written: Path, capsysbinary: pytest.CaptureFixture[bytes]):
    assert export(written, "reporter") == 0
    lines = capsysbinary.readouterr().out.decode("ascii").splitlines()
    variables = dict(line.split("=", 1) for line in lines)
    ids = variables.pop(RUNNERS_VARIABLE).split(",")
    assert {f"{id_.upper()}_RESULTS" for id_ in ids} == set(variables)


def test_the_page_and_the_release_text(written: Path, capsysbinary: pytest.CaptureFixture[bytes]):
    assert export(written, "html") == 0
    assert b"<!doctype html>" in capsysbinary.readouterr().out
    assert export(written, "classroom50-release") == 0
    assert "Score: 41 of 100" in capsysbinary.readouterr().out.decode("utf-8")


def test_a_table_of_many(written: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]):
    other = tmp_path / "other.json"
    reports.full().write(other)
    assert main(["export", "--to", "csv", "--report", str(written), str(other)]) == 0
    assert len(capsysbinary.readouterr().out.decode("utf-8").splitlines()) == 3
    assert main(["export", "--to", "junit", "--report", str(written), str(other)]) == 2
    assert b"takes one report" in capsysbinary.readouterr().err


class TestUnusable:
    """A clear sentence, exit status 2, and nothing written."""

    @staticmethod
    def refused(path: Path, why: str, capsys: pytest.CaptureFixture[str], to: str = "junit") -> None:
        out = path.parent / "out.txt"
        assert export(path, to, "--out", str(out)) == 2
        told = capsys.readouterr().err
        assert why in told
        assert "Traceback" not in told
        assert not out.exists()

    def changed(self, path: Path, **changes: Any) -> Path:
        data = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps({**data, **changes}), encoding="utf-8")
        return path

    def test_absent(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
        self.refused(tmp_path / "report.json", "python -m grader grade --report DIR", capsys)

    def test_a_folder(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
        self.refused(tmp_path, "cannot be read", capsys)

    def test_cut_off(self, written: Path, capsys: pytest.CaptureFixture[str]):
        written.write_bytes(written.read_bytes()[:-200])
        self.refused(written, "not JSON", capsys)

    @pytest.mark.parametrize("text", ["[]", "7", "null", '"report"'])
    def test_other_json(self, text: str, written: Path, capsys: pytest.CaptureFixture[str]):
        written.write_text(text, encoding="utf-8")
        self.refused(written, "not a report", capsys)

    def test_too_deep(self, written: Path, capsys: pytest.CaptureFixture[str]):
        written.write_text("[" * 100_000, encoding="utf-8")
        self.refused(written, "not JSON", capsys)

    def test_too_large(self, written: Path, capsys: pytest.CaptureFixture[str]):
        with written.open("ab") as file:
            file.truncate(LARGEST_REPORT + 1)
        self.refused(written, "larger than", capsys)

    def test_another_schema(self, written: Path, capsys: pytest.CaptureFixture[str]):
        self.refused(self.changed(written, schema="backdoor-lab/report/v9"), "v9", capsys)

    @pytest.mark.parametrize("checks", [7, ["x"], [{"id": 3}], {"a": 1}])
    def test_damaged_checks(self, checks: object, written: Path, capsys: pytest.CaptureFixture[str]):
        self.refused(self.changed(written, checks=checks), "damaged report", capsys)

    def test_a_changed_score(self, written: Path, capsys: pytest.CaptureFixture[str]):
        self.refused(self.changed(written, score=100), "its checks give 41", capsys)

    def test_a_check_that_this_grader_has_not(self, written: Path, capsys: pytest.CaptureFixture[str]):
        checks = json.loads(written.read_text(encoding="utf-8"))["checks"]
        checks[0]["id"] = "invisible_trigger.apply_trigger.dances"
        self.refused(self.changed(written, checks=checks), "another version of the grader", capsys)

    def test_a_part_that_this_grader_has_not(self, written: Path, capsys: pytest.CaptureFixture[str]):
        checks = json.loads(written.read_text(encoding="utf-8"))["checks"]
        checks[0]["part"] = "dancing"
        self.refused(self.changed(written, checks=checks), "damaged report", capsys)

    @pytest.mark.parametrize("to", [name for name in FORMATS if name != "terminal"])
    def test_a_run_inside_the_grader(
        self, to: str, written: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ):
        for name, value in CLASSROOM50.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("sys.argv", ["grader"])
        reports.full(isolation="none").write(written)
        more = ("--submitted", "2026-11-20T12:00:00+01:00") if to == "classroom50" else ()
        assert export(written, to, *more) == 2
        assert "--in-process" in capsys.readouterr().err

    def test_a_grader_error_is_no_zero(self, written: Path, capsys: pytest.CaptureFixture[str]):
        reports.grader_error().write(written)
        assert export(written, "gradescope") == 3
        assert "a zero would be wrong" in capsys.readouterr().err

    def test_classroom50_without_its_environment(
        self, written: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ):
        for name in CLASSROOM50:
            monkeypatch.delenv(name, raising=False)
        assert export(written, "classroom50", "--submitted", "2026-11-20T12:00:00Z") == 2
        assert "COMMIT_URL is missing" in capsys.readouterr().err
        assert export(written, "classroom50") == 2
        assert "--submitted" in capsys.readouterr().err

    def test_pictures_that_are_gone(self, written: Path, capsys: pytest.CaptureFixture[str]):
        reports.full(pictures={"invisible_trigger.trigger": "trigger.png"}).write(written)
        self.refused(written, "has no such file", capsys, "html")

    def test_nowhere_to_write(self, written: Path, capsys: pytest.CaptureFixture[str]):
        assert export(written, "junit", "--out", str(written / "out.xml")) == 2
        assert "out.xml" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["--link", "x"], ["--submitted", "today"], ["--submitted", "2026-11-20T12:00"]]
)
def test_words_that_mean_nothing(words: list[str], written: Path):
    with pytest.raises(SystemExit) as stopped:
        export(written, "junit", *words)
    assert stopped.value.code == 2


def test_reading_gives_the_report(written: Path):
    assert read_report(written) == Report.from_json(json.loads(written.read_text(encoding="utf-8")))
