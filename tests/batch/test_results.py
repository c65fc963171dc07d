"""What people read: the folders, the table, the summary, and what changed."""

import contextlib
import csv
import dataclasses
import io
import json
import os
import sys
from pathlib import Path

import pytest
from rich.console import Console

from grader.batch import changes, results, summary
from grader.batch.intake import take_class
from grader.batch.ledger import Ledger
from grader.batch.lists import Override, Student
from grader.batch.run import reconcile
from grader.batch.unit import Result
from grader.exports import table
from grader.settings import UsageProblem
from tests.batch.helpers import CORE, SETTINGS, Run, graded, hand_in, report_of

ASR = "invisible_trigger.outcome.asr"
CLAMP = "invisible_trigger.apply_trigger.clamps_to_pixel_range"
POINTS = report_of("h").score or 0
CLAMP_POINTS = next(c.max_points for c in report_of("h").checks if c.id == CLAMP)


def shown(told: dict[str, object]) -> str:
    """The summary as a terminal has it."""
    console = Console(file=io.StringIO(), width=200)
    summary.show(json.loads(json.dumps(told)), console)
    return str(console.file.getvalue())  # type: ignore[attr-defined]


class Results:
    """A finished pretended run, and what is made of it."""

    def __init__(self, submissions: Path, out: Path, answer, *, roster=None, overrides=None) -> None:
        self.run = Run(submissions, out, answer).go()
        self.out = out
        with contextlib.closing(Ledger(out / ".ledger")) as ledger:
            self.lines = results.class_lines(
                self.run.expected.values(), ledger, roster=roster, overrides=overrides or {}
            )
            for line in self.lines:
                results.publish(line, ledger, out)
            self.missing = reconcile(self.run.expected, ledger, out)

    def rows(self) -> dict[str, dict[str, str]]:
        return {row["login"]: row for row in csv.DictReader(io.StringIO(results.grades_csv(self.lines)))}

    def report(self, login: str) -> dict[str, object]:
        return json.loads((self.out / login / "report.json").read_bytes())

    def summary(self, changed=None):
        return summary.summarise(
            self.lines, self.run.class_, SETTINGS, spec=("small", "s"), changes=changed, missing=self.missing
        )


@pytest.fixture
def class_(tmp_path: Path) -> Path:
    for login in ("alice", "bob", "carol"):
        hand_in(tmp_path / "class", login, f"# {login}")
    (tmp_path / "class" / "dave").mkdir()
    return tmp_path / "class"


def mixed(run_hashes: dict[str, str]):
    """Alice passes everything, Bob fails a check, Carol's grading fails."""

    def answer(hash_: str, _: int) -> Result:
        if hash_ == run_hashes["carol"]:
            return Result(error="=BOOM() of the grader")
        return graded(hash_, failed=[CLAMP] if hash_ == run_hashes["bob"] else [])

    return answer


@pytest.fixture
def hashes(class_, tmp_path) -> dict[str, str]:
    run = Run(class_, tmp_path / "other", lambda h, n: graded(h))
    run.ledger.close()
    return run.hashes


def test_one_report_each_with_its_own_login(class_, tmp_path, hashes):
    hand_in(class_, "eve", "# alice")
    found = Results(class_, tmp_path / "out", mixed(hashes))
    assert [found.report(login)["submission"] for login in ("alice", "eve")] == ["alice", "eve"]
    assert found.report("bob")["score"] == POINTS - CLAMP_POINTS
    assert (
        (tmp_path / "out" / "bob" / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    )
    assert not (tmp_path / "out" / "dave").exists()
    assert found.missing == []


def test_grades_are_no_zero_where_there_is_none(class_, tmp_path, hashes):
    roster = {
        login: Student(login, f"id-{login}", login.title()) for login in ("alice", "bob", "carol", "zoe")
    }
    rows = Results(class_, tmp_path / "out", mixed(hashes), roster=roster).rows()
    assert {login: (row["status"], row["final_score"]) for login, row in rows.items()} == {
        "alice": ("graded", str(POINTS)),
        "bob": ("graded", str(POINTS - CLAMP_POINTS)),
        "carol": ("set_aside", ""),
        "dave": ("intake_problem", ""),
        "zoe": ("no_submission", ""),
    }
    assert rows["alice"]["student_id"] == "id-alice"
    assert "BOOM" in rows["carol"]["note"]
    assert "not on the roster" in rows["dave"]["note"]
    assert CORE in rows["dave"]["note"]


def test_overrides_stay_beside_the_graders_score(class_, tmp_path, hashes):
    overrides = {
        "bob": Override("bob", "=1+1 he said", score=77, by="Lee"),
        "dave": Override("dave", "handed in on paper", score=50, bonus=3),
    }
    found = Results(class_, tmp_path / "out", mixed(hashes), overrides=overrides)
    rows = found.rows()
    bob = rows["bob"]
    assert (bob["final_score"], bob["override_score"], bob["override_by"]) == ("77", "77", "Lee")
    assert int(bob["score"]) == found.report("bob")["score"] != 77
    assert bob["override_reason"] == "'=1+1 he said"
    assert (rows["dave"]["final_score"], rows["dave"]["final_bonus"], rows["dave"]["score"]) == (
        "50",
        "3",
        "",
    )
    for path in (tmp_path / "out").glob("*/report.*"):
        assert "he said" not in path.read_text(encoding="utf-8")
    shown = found.summary()["overrides"]
    assert shown[0]["login"] == "bob"
    assert shown[0]["grader_score"] == found.report("bob")["score"]


def test_each_decision_is_told_beside_the_graders_number_and_its_reason(class_, tmp_path):
    overrides = {
        "alice": Override("alice", "copied", bonus=0),
        "bob": Override("bob", "half of it", score=77, bonus=3),
        "dave": Override("dave", "on paper", score=85),
    }
    bonus = sum(c.points for c in report_of("h").checks if c.part != "invisible_trigger")
    found = Results(class_, tmp_path / "out", lambda h, n: graded(h), overrides=overrides)
    text = " ".join(shown(found.summary()).split())
    assert f"alice: bonus 0 (grader: {bonus}): copied" in text
    assert f"bob: score 77 (grader: {POINTS}), bonus 3 (grader: {bonus}): half of it" in text
    assert "dave: score 85 (grader: no grade): on paper" in text
    rows = {line.login: results.page_row(line) for line in found.lines}
    assert {login: row.grade for login, row in rows.items()} == {
        "alice": f"{POINTS} + 0", "bob": "77 + 3", "carol": f"{POINTS} + {bonus}", "dave": "85",
    }  # fmt: skip
    assert (rows["alice"].reason, rows["carol"].reason) == ("copied", "")
    said = dataclasses.replace(found.lines[0], override=Override("alice", "copied", bonus=0, by="Lee"))
    assert results.page_row(said).reason == "copied – Lee"


def test_no_cell_is_a_formula(class_, tmp_path):
    hand_in(class_, "=HYPERLINK(1)", "# x")
    found = Results(
        class_, tmp_path / "out", lambda h, n: graded(h, review=("@evil",)),
        roster={"alice": Student("alice", "+1", "-2+3")},
    )  # fmt: skip
    for row in csv.reader(io.StringIO(results.grades_csv(found.lines))):
        assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


def test_the_columns_are_all_of_the_exports_table():
    assert set(table.COLUMNS) - {"submission", "status"} <= set(results.COLUMNS)
    assert len(set(results.COLUMNS)) == len(results.COLUMNS)


def test_no_report_stays_behind_from_replaced_files(class_, tmp_path):
    Results(class_, tmp_path / "out", lambda h, n: graded(h))
    (class_ / "bob" / CORE).unlink()
    found = Results(class_, tmp_path / "out", lambda h, n: graded(h))
    assert not (tmp_path / "out" / "bob" / "report.json").exists()
    assert (tmp_path / "out" / "alice" / "report.json").exists()
    assert found.rows()["bob"]["status"] == "intake_problem"


PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="  # a PNG
)


def test_pictures_of_an_earlier_report_do_not_stay_and_what_others_put_there_does(class_, tmp_path):
    def drawn(hash_: str, _: int) -> Result:
        report = report_of(hash_, pictures={"invisible_trigger.trigger": "trigger.png"})
        return Result(report=report.to_json(), pictures={"trigger.png": PIXEL})

    Results(class_, tmp_path / "out", drawn)
    (tmp_path / "out" / "alice" / "mine.png").write_bytes(b"x")
    assert (tmp_path / "out" / "alice" / "trigger.png").exists()
    hand_in(class_, "alice", "# another")
    Results(class_, tmp_path / "out", lambda h, n: graded(h))
    assert sorted(p.name for p in (tmp_path / "out" / "alice").iterdir()) == [
        "mine.png", "report.html", "report.json",
    ]  # fmt: skip
    assert (tmp_path / "out" / "bob" / "trigger.png").exists()


def test_pictures_do_not_stay_where_a_batch_was_killed_before_it_wrote_the_report(
    class_, tmp_path, monkeypatch
):
    def drawn(hash_: str, _: int) -> Result:
        report = report_of(hash_, pictures={"invisible_trigger.trigger": "trigger.png"})
        return Result(report=report.to_json(), pictures={"trigger.png": PIXEL})

    class Killed(BaseException): ...

    def kill(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("grader.exports.html.render_page", kill)
        with pytest.raises(Killed):
            Results(class_, tmp_path / "out", drawn)
    assert (tmp_path / "out" / "alice" / "trigger.png").exists()
    hand_in(class_, "alice", "# another")
    Results(class_, tmp_path / "out", lambda h, n: graded(h))
    assert sorted(p.name for p in (tmp_path / "out" / "alice").iterdir()) == ["report.html", "report.json"]


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text there")
def test_a_name_that_is_no_text_can_be_written_down(class_, tmp_path):
    for name in (b"M\xfcller", b"alice/p\xfcx"):
        Path(os.fsdecode(os.fsencode(class_) + b"/" + name)).mkdir()
    hand_in(class_ / "alice", os.fsdecode(b"p\xfcx"), "# alice")
    found = Results(class_, tmp_path / "out", lambda h, n: graded(h))
    text = json.dumps(found.summary(), ensure_ascii=False).encode()
    assert "M\\xfcller" in {item["source"] for item in json.loads(text)["intake_problems"]}
    assert "p\\xfcx/ have files of the assignment" in json.loads(text)["notes"][0]["notes"][0]


def test_nothing_counts_of_what_was_set_aside(class_, tmp_path, hashes):
    def answer(hash_: str, _: int) -> Result:
        return graded(hash_) if hash_ == bob else Result(report=report_of(hash_).to_json(), error="x")

    bob = hashes["bob"]
    rows = Results(class_, tmp_path / "out", answer).rows()
    assert {login: row["final_score"] + row["final_bonus"] for login, row in rows.items() if login != "bob"} == {
        "alice": "", "carol": "", "dave": "",
    }  # fmt: skip


def test_a_report_that_was_lost_or_edited_is_made_again(class_, tmp_path):
    Results(class_, tmp_path / "out", lambda h, n: graded(h))
    path = tmp_path / "out" / "alice" / "report.json"
    for text in ("", path.read_text().replace(f'"score": {POINTS}', '"score": 1'), None):
        if text is None:
            path.unlink()
        else:
            path.write_text(text)
        found = Results(class_, tmp_path / "out", lambda h, n: graded(h))
        assert found.run.engine.asked == []
        assert found.report("alice")["score"] == POINTS


def test_reconciliation_notices_what_is_missing(class_, tmp_path):
    found = Results(class_, tmp_path / "out", lambda h, n: graded(h))
    (tmp_path / "out" / "alice" / "report.json").unlink()
    ledger = Ledger(tmp_path / "out" / ".ledger")
    key = next(k for k, task in found.run.expected.items() if task.entries[0].login == "bob")
    ledger.forget(key)
    assert reconcile(found.run.expected, ledger, tmp_path / "out") == [
        "alice: its report is not in the results",
        "bob: no terminal record",
    ]
    ledger.close()


def test_the_summary(class_, tmp_path, hashes):
    hand_in(class_, "eve", "# alice")
    (class_ / "notes.txt").write_text("")
    roster = {login: Student(login) for login in ("alice", "bob", "carol", "zoe")}
    found = Results(class_, tmp_path / "out", mixed(hashes), roster=roster)
    told = found.summary()
    assert told["statuses"] == {
        "graded": 3, "set_aside": 1, "intake_problem": 1, "unfinished": 0, "no_submission": 1,
    }  # fmt: skip
    assert sum(told["scores"]["histogram"].values()) == 3
    assert told["checks"] == [{"id": CLAMP, "failed": 1, "ran": 3}]
    assert told["set_aside"][0]["login"] == "carol"
    assert told["intake_problems"][0]["login"] == "dave"
    assert told["no_submission"] == ["zoe"]
    assert told["not_on_roster"] == ["dave", "eve"]
    assert told["identical"] == [["alice", "eve"]]
    assert "Handed in the same code (1): alice = eve" in shown(told)
    assert told["ignored"] == ["notes.txt"]
    assert told["reconciled"]
    console = Console(file=io.StringIO(), width=100)
    summary.show(json.loads(json.dumps(told)), console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for expected in (
        "5 submissions",
        "3 graded",
        "Checks most often failed",
        CLAMP[:20],
        "carol",
        "zoe",
        "alice = eve",
    ):
        assert expected in text


def test_the_summary_obeys_nothing_that_was_handed_in(class_, tmp_path):
    found = Results(
        class_, tmp_path / "out", lambda h, n: graded(h, review=("\x1b[2J[red]x[/red]\n::error::forged",))
    )
    console = Console(file=io.StringIO(), width=200)
    summary.show(found.summary(), console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b" not in text
    assert "[red]x[/red]" in text
    assert "::error" not in text


# --- what changed ----------------------------------------------------------------------------------------------------


def test_what_changed_and_why(class_, tmp_path, hashes):
    Results(class_, tmp_path / "old", lambda h, n: graded(h, failed=[ASR] if h == hashes["alice"] else []))
    hand_in(class_, "bob", "# bob, later")
    hand_in(class_, "eve", "# eve")
    found = Results(
        class_, tmp_path / "new",
        lambda h, n: graded(h, failed=[CLAMP] if h not in (hashes["alice"], hashes["carol"]) else [], spec_hash="t"),
    )  # fmt: skip
    changed = changes.compare(changes.read_reports(tmp_path / "old"), found.lines, same_grader=False)
    by_login = {change.login: change for change in changed}
    assert list(by_login) == ["alice", "bob", "eve"]
    alice, bob = by_login["alice"], by_login["bob"]
    assert alice.new_score == POINTS > (alice.old_score or 0)
    assert alice.differs_in == ("spec", "grader")
    assert [(c.id, c.old, c.new) for c in alice.checks] == [(ASR, "failed", "passed")]
    assert bob.differs_in == ("submission", "spec", "grader")
    assert [(c.id, c.old, c.new, c.why) for c in bob.checks] == [
        (CLAMP, "passed", "failed", "something else came")
    ]
    assert by_login["eve"].differs_in == ("report only now",)
    rows = list(csv.DictReader(io.StringIO(changes.to_csv(changed))))
    assert [(row["login"], row["check"]) for row in rows] == [("alice", ASR), ("bob", CLAMP), ("eve", "")]
    assert found.summary(changed)["changes"][0]["login"] == "alice"


def test_nothing_changed(class_, tmp_path):
    found = Results(class_, tmp_path / "out", lambda h, n: graded(h))
    assert changes.compare(changes.read_reports(tmp_path / "out"), found.lines, same_grader=True) == []


def test_a_login_is_the_same_however_its_letters_are_written(class_, tmp_path):
    Results(class_, tmp_path / "old", lambda h, n: graded(h))
    (class_ / "bob").rename(class_ / "Bob")
    (class_ / "alice").rename(class_ / "ALICE")
    hand_in(class_, "ALICE", "# another")
    found = Results(
        class_, tmp_path / "new", lambda h, n: graded(h, failed=[CLAMP] if h == found_hash(class_) else [])
    )
    changed = changes.compare(changes.read_reports(tmp_path / "old"), found.lines, same_grader=True)
    assert [(change.login, change.differs_in) for change in changed] == [("ALICE", ("submission",))]


def found_hash(class_: Path) -> str:
    return next(entry.hash for entry in take_class(class_).entries if entry.login == "ALICE")


def test_what_came_is_told_of_a_check_that_does_not_pass_now(class_, tmp_path, hashes):
    def one_fails(login: str):
        return lambda h, n: graded(h, failed=[CLAMP] if h == hashes[login] else [])

    Results(class_, tmp_path / "old", one_fails("alice"))
    found = Results(class_, tmp_path / "new", one_fails("bob"))
    changed = changes.compare(changes.read_reports(tmp_path / "old"), found.lines, same_grader=True)
    text = shown(found.summary(changed))
    assert f"{CLAMP}: failed -> passed\n" in text
    assert f"{CLAMP}: passed -> failed: something else came\n" in text


def test_results_that_cannot_be_compared_with(tmp_path):
    with pytest.raises(UsageProblem, match="no results"):
        changes.read_reports(tmp_path)
    (tmp_path / "alice").mkdir()
    for text in ("{", "[]", json.dumps({**report_of("h").to_json(), "schema": "v0"})):
        (tmp_path / "alice" / "report.json").write_text(text)
        with pytest.raises(UsageProblem, match="cannot be compared"):
            changes.read_reports(tmp_path)


def test_a_line_without_a_report_has_gaps_and_no_zeros():
    line = results.Line("zoe", results.NO_SUBMISSION)
    assert (line.final_score, line.final_bonus) == (None, None)
    assert dataclasses.replace(line, override=Override("zoe", "ill", score=0)).final_score == 0
