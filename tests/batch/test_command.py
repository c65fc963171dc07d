"""``python -m grader batch`` from beginning to end, and killed in the middle."""

import contextlib
import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from grader.__main__ import main
from grader.batch import warm
from grader.isolation import available_isolation
from tests.batch.helpers import ROOT, hand_in, small_spec, solution
from tests.processes import descendants

needs_bubblewrap = pytest.mark.skipif(
    available_isolation()[0] != "bubblewrap", reason=f"no bubblewrap: {available_isolation()[1]}"
)


@pytest.fixture(scope="module")
def class_(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven submissions: three good ones, one of them in a zip, and what a class has besides."""
    folder = tmp_path_factory.mktemp("given") / "class"
    for login in ("alice", "bob"):
        hand_in(folder, login, solution(login))
    hand_in(folder / "unpacked", "assignment", solution("zipped"))
    shutil.make_archive(str(folder / "carol"), "zip", folder / "unpacked")
    shutil.rmtree(folder / "unpacked")
    hand_in(folder, "dave", (ROOT / "assignment" / "invisible_trigger.py").read_text(encoding="utf-8"))
    hand_in(folder, "eve", "def apply_trigger(x, delta:\n")
    hand_in(folder, "mallory", "import os\nos._exit(0)\n")
    (folder / "zed").mkdir()
    small_spec(folder.parent / "spec.toml")
    (folder.parent / "roster.csv").write_text("login,student_id,name\nalice,1,Ann\nyan,2,Yan\n")
    (folder.parent / "overrides.toml").write_text('[eve]\nscore = 40\nreason = "a slip of the keyboard"\n')
    return folder


def arguments(class_: Path, out: Path, *more: object) -> list[object]:
    return [class_, "--out", out, "--spec", class_.parent / "spec.toml", "--jobs", 1, "--no-pictures", *more]


def lists(class_: Path) -> list[object]:
    return ["--roster", class_.parent / "roster.csv", "--overrides", class_.parent / "overrides.toml"]


@dataclass(frozen=True)
class Finished:
    """A batch that was killed in the middle and started again.

    Attributes:
        family: pids of the killed command and all that it had started.
        kept: records that were there when it was killed, with their times.
        told, shown: what the second start wrote to stderr and stdout.
    """

    out: Path
    family: set[int]
    kept: dict[Path, int]
    status: int
    told: str
    shown: str


@pytest.fixture(scope="module")
def finished(class_: Path) -> Finished:
    out = class_.parent / "out"
    words = arguments(class_, out, *lists(class_))
    process = subprocess.Popen(
        [sys.executable, "-m", "grader", "batch", *map(str, words)],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    records = out / ".ledger" / "records"
    while not records.is_dir() or len(list(records.glob("*.json"))) < 3:
        assert process.poll() is None
        time.sleep(0.02)
    family = set(descendants(process.pid))
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {path: path.stat().st_mtime_ns for path in records.glob("*.json")}
    assert len(kept) < 7
    told, shown = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(told), contextlib.redirect_stdout(shown):
        status = main(["batch", *map(str, words)])
    return Finished(out, family, kept, status, told.getvalue(), shown.getvalue())


def rows(out: Path) -> dict[str, dict[str, str]]:
    with (out / "grades.csv").open(encoding="utf-8", newline="") as file:
        return {row["login"]: row for row in csv.DictReader(file)}


@needs_bubblewrap
def test_a_class_from_beginning_to_end(finished):
    found = rows(finished.out)
    assert {login: row["score"] for login, row in found.items()} == {
        "alice": "100", "bob": "100", "carol": "100", "dave": "0", "eve": "0", "mallory": "0", "yan": "", "zed": "",
    }  # fmt: skip
    assert (found["eve"]["final_score"], found["eve"]["override_reason"]) == ("40", "a slip of the keyboard")
    assert (found["alice"]["name"], found["yan"]["status"]) == ("Ann", "no_submission")
    assert "7 submissions: 6 graded, 1 intake problem, 1 no submission" in finished.shown
    told = json.loads((finished.out / "summary.json").read_bytes())
    assert told["reconciled"]
    assert told["isolation"] == "bubblewrap"
    assert (finished.out.stat().st_mode & 0o077) == 0
    spec = (finished.out.parent / "spec.toml").read_bytes()
    assert not [p for p in finished.out.rglob("*") if p.is_file() and p.read_bytes() == spec]


@needs_bubblewrap
def test_killed_in_the_middle_it_goes_on_where_it_was(finished):
    assert finished.status == 0
    assert {path: path.stat().st_mtime_ns for path in finished.kept} == finished.kept
    assert len(list((finished.out / ".ledger" / "records").iterdir())) == 7
    assert list((finished.out / ".ledger" / "scratch").iterdir()) == []
    assert "[7/7]" in finished.told  # a line for each submission, where there is no terminal
    assert "[3/7]" not in finished.told


@needs_bubblewrap
def test_killed_it_leaves_no_process_behind(finished):
    assert len(finished.family) > 3  # the warm parent and its sandbox
    assert not [pid for pid in finished.family if Path(f"/proc/{pid}").exists()]


# --- what is refused, before anything is graded ----------------------------------------------------------------------


def test_no_weaker_isolation_unless_told(class_, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "grader", "batch", *map(str, arguments(class_, tmp_path / "out"))],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "PATH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 2
    assert "bubblewrap is not installed" in done.stderr
    assert "--allow-weaker-isolation" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.fixture
def nothing_starts(monkeypatch):
    def refuse(slots: int = 1) -> None:
        raise AssertionError("something was started")

    monkeypatch.setattr(warm, "start_early", refuse)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--roster", "absent.csv"], "cannot be read"),
        (["--overrides", "OVERRIDES"], "no submission and no line of the roster for nobody"),
        (["--commits", "COMMITS"], "no submission and no line of the roster for nobody"),
        (["--compare", "EMPTY"], "no results of an earlier batch"),
    ],
)
def test_mistakes_are_found_before_anything_starts(class_, tmp_path, capsys, nothing_starts, more, message):
    (tmp_path / "OVERRIDES").write_text('[nobody]\nscore = 1\nreason = "x"\n')
    (tmp_path / "COMMITS").write_text(f"login,commit\nnobody,{'a' * 40}\n")
    (tmp_path / "EMPTY").mkdir()
    more = [str(tmp_path / word) if word.isupper() else word for word in more]
    status = main(["batch", *map(str, arguments(class_, tmp_path / "out", *more))])
    assert status == 2
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("out", ["class/out", "class", "."])
def test_results_lie_outside_the_submissions(tmp_path, capsys, nothing_starts, out):
    hand_in(tmp_path / "class", "alice", "x = 1")
    assert main(["batch", str(tmp_path / "class"), "--out", str(tmp_path / out)]) == 2
    assert "--out must lie outside" in " ".join(capsys.readouterr().err.split())


def test_an_empty_class(tmp_path, capsys, nothing_starts):
    (tmp_path / "class").mkdir()
    assert main(["batch", str(tmp_path / "class"), "--out", str(tmp_path / "out")]) == 2
    assert main(["batch", str(tmp_path / "absent"), "--out", str(tmp_path / "out")]) == 2


@needs_bubblewrap
def test_results_of_another_spec_are_not_mixed_in(class_, finished, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(warm, "start_early", lambda *_, **__: None)
    other = small_spec(tmp_path / "other.toml", name='"other"')
    more = ["batch", str(class_), "--out", str(finished.out), "--spec", str(other), "--no-pictures"]
    assert main(more) == 2
    assert "has the results of another spec" in " ".join(capsys.readouterr().err.split())


@needs_bubblewrap
def test_done_is_done_and_can_be_compared_with(class_, finished, tmp_path, capsys, monkeypatch):
    """Started once more nothing is graded; the grades of another folder are compared with."""
    monkeypatch.setattr(warm, "start_early", lambda *_, **__: None)
    shutil.copytree(finished.out, tmp_path / "old")
    path = tmp_path / "old" / "alice" / "report.json"
    text = (
        path.read_text()
        .replace('"status": "passed"', '"status": "failed"', 1)
        .replace('"points": 4', '"points": 0', 1)
    )
    report = json.loads(text)
    report["checks"][0] = {**report["checks"][0], "status": "failed", "points": 0}
    report["score"] = sum(
        check["points"] for check in report["checks"] if check["part"] == "invisible_trigger"
    )
    path.write_text(json.dumps(report))
    more = arguments(
        class_, finished.out, "--compare", tmp_path / "old", "--overrides", class_.parent / "overrides.toml"
    )
    assert main(["batch", *map(str, more)]) == 0
    out = capsys.readouterr().out
    assert "Changed against the earlier batch: 1" in out
    assert "failed -> passed" in out
    changed = (finished.out / "changes.csv").read_text().splitlines()
    assert len(changed) == 2
    assert changed[1].startswith("alice,")
    assert main(["batch", *map(str, arguments(class_, finished.out, *lists(class_)))]) == 0
    assert not (finished.out / "changes.csv").exists()  # nothing was compared with this time


@needs_bubblewrap
def test_who_is_gone_from_the_class_is_told_and_gone(class_, finished, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(warm, "start_early", lambda *_, **__: None)
    out = shutil.copytree(finished.out, tmp_path / "out")
    smaller = shutil.copytree(class_, tmp_path / "class")
    shutil.rmtree(smaller / "bob")
    more = ["--spec", class_.parent / "spec.toml", "--no-pictures"]
    assert main(["batch", str(smaller), "--out", str(out), *map(str, more)]) == 0
    assert "so their reports are removed: bob" in " ".join(capsys.readouterr().err.split())
    assert not (out / "bob").exists()
    assert (out / "alice" / "report.json").is_file()


@needs_bubblewrap
def test_a_report_that_cannot_be_written_costs_nobody_else_theirs(
    class_, finished, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(warm, "start_early", lambda *_, **__: None)
    out = shutil.copytree(finished.out, tmp_path / "out")
    shutil.rmtree(out / "alice")
    (out / "alice").write_text("a file where the folder belongs")
    shutil.rmtree(out / "bob")
    (out / "summary.json").unlink()
    assert main(["batch", *map(str, arguments(class_, out))]) == 1
    assert "alice: its report cannot be written" in capsys.readouterr().err
    assert (out / "bob" / "report.json").is_file()
    assert json.loads((out / "summary.json").read_bytes())["reconciled"] is False
