"""The results folder: which one is taken, what is told of one that cannot be, and what of earlier batches goes."""

from __future__ import annotations

import contextlib
import shutil
import sys
from pathlib import Path

import pytest

from grader.__main__ import main
from grader.batch import changes, command, folder, results, warm
from grader.batch.ledger import Ledger
from grader.settings import UsageProblem
from tests.batch.helpers import Run, graded, hand_in

IDENTITY = {"grader": "g", "spec": "small s", "language": "en", "isolation": "bubblewrap", "pictures": True}


@pytest.fixture
def class_(tmp_path: Path) -> Path:
    for login in ("alice", "dave", "wendy"):
        hand_in(tmp_path / "class", login, f"# {login}")
    return tmp_path / "class"


@pytest.fixture
def nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("something was started")

    monkeypatch.setattr(warm, "start_early", refuse)


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


def contents(directory: Path) -> dict[str, bytes | None]:
    """Everything below a folder by its path."""
    return {
        str(path.relative_to(directory)): path.read_bytes() if path.is_file() else None
        for path in directory.rglob("*")
    }


# --- which folder is taken -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("nothing_starts")
def test_a_folder_that_no_batch_made_is_left_as_it_is(class_: Path, tmp_path: Path, capsys):
    out = tmp_path / "mine"
    (out / "dave").mkdir(parents=True)
    (out / "grades.csv").write_text("my own grades")
    (out / "dave" / "report.html").write_text("my own notes")
    before = contents(out)
    assert main(["batch", str(class_), "--out", str(out)]) == 2
    assert "name a new or an empty folder" in told(capsys)
    assert contents(out) == before


def test_an_empty_folder_and_one_of_a_batch_are_taken(tmp_path: Path):
    folder.check_folder(tmp_path / "new")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".DS_Store").write_text("")
    folder.check_folder(tmp_path / "empty")
    for _ in range(2):
        folder.open_ledger(tmp_path / "new", IDENTITY).close()
        (tmp_path / "new" / "grades.csv").write_text("")
        folder.check_folder(tmp_path / "new")


@pytest.mark.usefixtures("nothing_starts")
def test_a_file_is_no_folder_of_results(class_: Path, tmp_path: Path, capsys):
    (tmp_path / "out").write_text("x")
    assert main(["batch", str(class_), "--out", str(tmp_path / "out")]) == 2
    assert "this is no folder" in told(capsys)
    with pytest.raises(UsageProblem, match="no results can be kept there: Not a directory"):
        folder.open_ledger(tmp_path / "out" / "below", IDENTITY)


@pytest.mark.usefixtures("nothing_starts")
def test_a_folder_where_a_file_of_the_results_belongs(class_: Path, tmp_path: Path, capsys):
    (tmp_path / "out" / ".ledger").mkdir(parents=True)
    (tmp_path / "out" / "grades.csv").mkdir()
    assert main(["batch", str(class_), "--out", str(tmp_path / "out")]) == 2
    assert "grades.csv: a folder where the results have a file" in told(capsys)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_a_folder_that_cannot_be_made_is_told():
    with pytest.raises(UsageProblem, match="--out /proc/foo: no results can be kept there"):
        folder.open_ledger(Path("/proc/foo"), IDENTITY)


@pytest.mark.parametrize("text", ["{", "[]", "\xff"])
def test_a_damaged_identity_is_told(tmp_path: Path, text: str):
    folder.open_ledger(tmp_path, IDENTITY).close()
    (tmp_path / ".ledger" / "identity.json").write_bytes(text.encode("latin-1"))
    for _ in range(2):  # and the folder is not held
        with pytest.raises(UsageProblem, match=r"identity.json is damaged .* --out"):
            folder.open_ledger(tmp_path, IDENTITY)


def test_what_differs_is_named_with_its_option(tmp_path: Path):
    folder.open_ledger(tmp_path, IDENTITY).close()
    with pytest.raises(UsageProblem, match=r"another choice of pictures \(--no-pictures\)\. Give a new"):
        folder.open_ledger(tmp_path, {**IDENTITY, "pictures": False})


# --- what of earlier batches goes ------------------------------------------------------------------------------------


class Batch:
    """What a batch leaves of a class, with a pretended grader; ``gone`` are the logins that were withdrawn."""

    def __init__(self, submissions: Path, out: Path) -> None:
        run = Run(submissions, out, lambda hash_, _: graded(hash_)).go()
        with contextlib.closing(Ledger(out / ".ledger")) as ledger:
            lines = results.class_lines(run.expected.values(), ledger, roster=None, overrides={})
            self.failed: list[str] = []
            self.gone = folder.withdraw_others(lines, ledger, out, lambda login, _: self.failed.append(login))
            for line in lines:
                results.publish(line, ledger, out)


def test_who_is_gone_from_the_class_is_gone_from_the_results(class_: Path, tmp_path: Path):
    out = tmp_path / "out"
    assert Batch(class_, out).gone == []
    shutil.rmtree(class_ / "wendy")
    (class_ / "dave").rename(class_ / "david")
    assert Batch(class_, out).gone == ["dave", "wendy"]
    assert sorted(changes.read_reports(out)) == ["alice", "david"]
    assert not (out / "wendy").exists()
    assert Batch(class_, out).gone == []
    (class_ / "david").rename(class_ / "dave")  # the ledger has kept the grade
    assert Batch(class_, out).gone == ["david"]
    assert sorted(changes.read_reports(out)) == ["alice", "dave"]


def test_only_what_a_batch_wrote_goes(class_: Path, tmp_path: Path):
    out = tmp_path / "out"
    Batch(class_, out)
    (out / "wendy" / "mine.txt").write_text("notes")
    shutil.copytree(out / "alice", out / "alice before")
    shutil.copytree(out / "dave", tmp_path / "elsewhere")
    shutil.rmtree(out / "dave")
    (out / "dave").symlink_to(tmp_path / "elsewhere")
    elsewhere, copy = contents(tmp_path / "elsewhere"), contents(out / "alice before")
    for login in ("dave", "wendy"):
        shutil.rmtree(class_ / login)
    Batch(class_, out)
    assert contents(out / "wendy") == {"mine.txt": b"notes"}
    assert contents(out / "alice before") == copy
    assert contents(tmp_path / "elsewhere") == elsewhere


@pytest.mark.parametrize("text", ["", "7", '["../alice", "/", "..", 3]'])
def test_a_damaged_list_of_what_was_written_removes_nothing(class_: Path, tmp_path: Path, text: str):
    out = tmp_path / "out"
    Batch(class_, out)
    before = sorted(contents(tmp_path / "class"))
    (out / ".ledger" / "published.json").write_text(text)
    shutil.rmtree(class_ / "wendy")
    assert Batch(class_, out).gone == []
    assert (out / "wendy" / "report.json").exists()
    assert sorted(contents(tmp_path / "class")) == [name for name in before if "wendy" not in name]


def test_what_could_not_be_removed_is_tried_again(class_: Path, tmp_path: Path, monkeypatch):
    out = tmp_path / "out"
    Batch(class_, out)
    shutil.rmtree(class_ / "wendy")

    def refuse(_: Path) -> None:
        raise PermissionError("not yours")

    with monkeypatch.context() as patch:
        patch.setattr(folder, "withdraw", refuse)
        assert Batch(class_, out).failed == ["wendy"]
    assert Batch(class_, out).gone == ["wendy"]


def test_results_that_cannot_be_written_are_told(class_: Path, tmp_path: Path, capsys, monkeypatch):
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device", "somewhere/.grades.csv.x")

    class Closed:
        def close(self) -> None: ...

    class Spec:
        seed = 7

    monkeypatch.setattr(command._Batch, "_settings", lambda self: (Spec, None))
    monkeypatch.setattr(command._Batch, "_open_ledger", lambda *_: Closed())
    monkeypatch.setattr("grader.batch.run.tasks", lambda *_: {})
    monkeypatch.setattr(command._Batch, "_grade", lambda *_: 0)
    monkeypatch.setattr(command._Batch, "_write_results", full)
    assert main(["batch", str(class_), "--out", str(tmp_path / "out")]) == 1
    assert "out: the results cannot be written: No space left on device. Repair that" in told(capsys)
