"""What may be handed in, and what a hostile hand can put there: read or refused with a reason, never unpacked."""

import os
import stat
import struct
import sys
import warnings
import zipfile
from pathlib import Path

import pytest

from grader.batch import intake
from grader.batch.intake import FILENAMES, RESERVED, Entry, identical, is_login, take_class
from grader.submission import MAX_SOURCE, read_submission
from tests.batch.test_checkouts import git
from tests.fuzz.intake import fuzz

CORE = FILENAMES[0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "class"
    path.mkdir()
    return path


def take(folder: Path, login: str = "alice") -> Entry:
    return next(entry for entry in take_class(folder).entries if entry.login == login)


def make_zip(path: Path, members: dict[str, bytes | zipfile.ZipInfo], **options: int) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            if isinstance(content, zipfile.ZipInfo):
                archive.writestr(content, "../../etc/passwd")
            else:
                archive.writestr(name, content)
    return path


@pytest.mark.parametrize("place", ["", "assignment", "repo-main", "repo-main/assignment"])
@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_files_are_found_where_they_usually_lie(folder, place, kind):
    name = f"{place}/{CORE}".lstrip("/")
    if kind == "zip":
        make_zip(folder / "alice.zip", {name: b"x = 1", "__MACOSX/._x": b"litter"})
    else:
        (folder / "alice" / place).mkdir(parents=True)
        (folder / "alice" / name).write_bytes(b"x = 1")
    entry = take(folder)
    assert (entry.problem, entry.kind, dict(entry.files)) == (None, kind, {CORE: b"x = 1"})


def test_the_graders_own_files_of_a_whole_repository_are_not_taken_for_a_submission(folder):
    (folder / "alice" / "grader" / "parts").mkdir(parents=True)
    (folder / "alice" / "grader" / "parts" / CORE).write_text("trusted = True")
    (folder / "alice" / "assignment").mkdir()
    (folder / "alice" / "assignment" / CORE).write_text("x = 1")
    assert take(folder).files == {CORE: b"x = 1"}


@pytest.mark.parametrize("kind", ["folder", "zip", "git"])
@pytest.mark.parametrize(
    ("files", "taken"),
    [
        (
            {"fine_pruning.py": b"old", f"assignment/{CORE}": b"new"},
            {CORE: b"new"},
        ),  # a stray file hides nothing
        ({CORE: b"new", "assignment/fine_pruning.py": b"old"}, {CORE: b"new"}),
        ({CORE: b"new", f"assignment/{CORE}": b"new"}, {CORE: b"new"}),
        ({CORE: b"old", f"assignment/{CORE}": b"new"}, {}),  # nobody knows which of them counts
    ],
)
def test_of_several_places_the_one_with_the_core_part_is_taken_and_a_note_says_so(folder, kind, files, taken):
    commits = None
    if kind == "zip":
        make_zip(folder / "alice.zip", files)
    else:
        for name, content in files.items():
            (folder / "alice" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "alice" / name).write_bytes(content)
    if kind == "git":
        git(folder / "alice", "init", "-q")
        git(folder / "alice", "add", "-A")
        git(folder / "alice", "commit", "-q", "-m", "work")
        commits = {"alice": git(folder / "alice", "rev-parse", "HEAD")}
    (entry,) = take_class(folder, commits=commits).entries
    assert entry.files == taken
    if not taken:
        assert entry.problem == f"assignment/ and the top folder have another {CORE} each: remove all but one"
        return
    place = "the top folder" if CORE in files and f"assignment/{CORE}" not in files else "assignment/"
    assert entry.notes == (f"assignment/ and the top folder have files of the assignment: {place} was taken",)


def test_a_zip_inside_a_course_platforms_folder_is_taken(folder):
    (folder / "alice").mkdir()
    make_zip(folder / "alice" / "upload.zip", {CORE: b"x = 1"})
    assert take(folder).files == {CORE: b"x = 1"}


def test_the_hash_is_the_one_that_reports_have(folder, tmp_path):
    (folder / "alice").mkdir()
    (folder / "alice" / CORE).write_text("x = 1")
    (folder / "alice" / "notes.txt").write_text("not looked at")
    assert take(folder).hash == read_submission(folder / "alice").hash
    for name, content in (("empty", b" \n"), ("binary", b"\xff\xfe"), ("large", b"#" * (MAX_SOURCE + 9))):
        (folder / name).mkdir()
        (folder / name / CORE).write_bytes(content)
        assert take(folder, name).hash == read_submission(folder / name).hash


def test_nothing_is_passed_over_in_silence(folder):
    (folder / "alice").mkdir()
    (folder / "grades.xlsx").write_bytes(b"")
    (folder / ".DS_Store").write_bytes(b"")
    class_ = take_class(folder)
    assert class_.ignored == (".DS_Store", "grades.xlsx")
    assert [e.problem for e in class_.entries] == [f"there is no {', '.join(FILENAMES)} in it"]


@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_what_is_no_regular_file_is_neither_read_nor_waited_for(folder, tmp_path, kind):
    (tmp_path / "secret.py").write_text("the solution")
    (folder / "alice").mkdir()
    path = folder / "alice" / CORE
    if kind == "link":
        path.symlink_to(tmp_path / "secret.py")
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    entry = take(folder)
    assert entry.files == {CORE: None}
    assert entry.hash == read_submission(folder / "alice").hash


def test_a_linked_folder_leads_nowhere(folder, tmp_path):
    (tmp_path / "solution").mkdir()
    (tmp_path / "solution" / CORE).write_text("the solution")
    (folder / "alice").mkdir()
    (folder / "alice" / "assignment").symlink_to(tmp_path / "solution")
    (folder / "bob").symlink_to(tmp_path / "solution")
    assert take(folder).files == {}
    assert take(folder, "bob").problem == "a symbolic link is not followed"


def test_only_so_much_is_read(folder):
    (folder / "alice").mkdir()
    with (folder / "alice" / CORE).open("wb") as file:
        file.truncate(2**40)  # sparse
    assert len(take(folder).files[CORE] or b"") == MAX_SOURCE + 1


@pytest.mark.parametrize(
    "name",
    [
        "a\nb",
        "a\x1b[31m",
        "..",
        "-rf",
        "~root",
        "a|b",
        "a\u202eb",
        "x" * 121,
        "end.",
        "",
        *sorted(RESERVED),
        "Class.HTML",
    ],
)
def test_names_that_cannot_be_logins(name):
    assert not is_login(name)


@pytest.mark.parametrize("name", ["alice", "O'Neil, Ann_123", "张三", "a.b-c+d@e.org", "=cmd"])
def test_names_that_can(name):
    assert is_login(name)


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text there")
def test_a_name_that_is_no_text_can_still_be_told(folder):
    for name in (b"M\xfcller", b"f\xfcr.txt"):
        path = os.fsdecode(os.fsencode(folder) + b"/" + name)
        if name.endswith(b".txt"):
            Path(path).write_bytes(b"")
        else:
            Path(path).mkdir()
    class_ = take_class(folder)
    assert class_.ignored == ("f\\xfcr.txt",)
    assert [(e.login, e.problem) for e in class_.entries] == [
        ("M\\xfcller", "its name cannot be a login: rename it")
    ]


def test_an_archive_beside_its_own_folder_is_left_alone(folder):
    (folder / "alice").mkdir()
    (folder / "alice" / CORE).write_text("x = 1")
    (folder / "alice.tar.gz").write_bytes(b"x")
    (folder / "notes.gz").write_bytes(b"x")
    class_ = take_class(folder)
    assert [(e.files, e.problem) for e in class_.entries] == [({CORE: b"x = 1"}, None)]
    assert class_.entries[0].notes == ("alice.tar.gz beside it was not read",)
    assert class_.ignored == ("notes.gz",)


@pytest.mark.parametrize("name", ["alice.tar.gz", "alice.7z", "alice.TGZ", "alice.rar"])
def test_another_archive_is_a_problem_and_not_passed_over(folder, name):
    (folder / name).write_bytes(b"x")
    assert str(take(folder).problem).startswith("of archives only zip files are taken")


def test_an_unusable_name_is_a_problem_and_not_a_path(folder):
    (folder / "ali\nce").mkdir()
    (folder / "ali\nce" / CORE).write_text("x = 1")
    assert take(folder, "ali\nce").problem == "its name cannot be a login: rename it"


def test_two_submissions_of_one_login_are_left_to_a_person(folder):
    for name in ("alice", "Alice"):
        (folder / name).mkdir()
        (folder / name / CORE).write_text("x = 1")
    make_zip(folder / "alice.zip", {CORE: b"x = 2"})
    (entry,) = take_class(folder).entries  # one line in the table, and not three
    assert entry.problem == "several submissions have this login: Alice, alice, alice.zip"
    assert not entry.files


def test_the_assignments_name_before_the_login_can_be_left_out(folder):
    (folder / "lab-alice").mkdir()
    (folder / "lab-alice" / CORE).write_text("x = 1")
    assert [e.login for e in take_class(folder, login_prefix="lab-").entries] == ["alice"]


def test_identical_submissions_are_told(folder):
    for name, text in (("alice", "x = 1"), ("bob", "x = 2"), ("carol", "x = 1")):
        (folder / name).mkdir()
        (folder / name / CORE).write_text(text)
    assert identical(take_class(folder).entries) == [["alice", "carol"]]


def test_submissions_that_could_not_be_read_are_like_nobody(folder):
    for name in ("pat", "quinn"):
        (folder / name / CORE).mkdir(parents=True)
    (folder / "rob").mkdir()
    (folder / "rob" / CORE).symlink_to("/etc/hostname")
    entries = take_class(folder).entries
    assert [entry.problem for entry in entries] == [None] * 3
    assert identical(entries) == []


# --- hostile zips ----------------------------------------------------------------------------------------------------


def link_member(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def test_nothing_of_a_zip_is_written_anywhere(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_zip(
        folder / "alice.zip",
        {
            f"../../{CORE}": b"evil",
            f"/{CORE}": b"evil",
            f"x/../{CORE}": b"evil",
            "..\\..\\evil": b"",
            CORE: b"x = 1",
        },
    )
    before = sorted(tmp_path.rglob("*"))
    entry = take(folder)
    assert entry.files == {CORE: b"x = 1"}
    assert "lead out of it" in entry.notes[0]
    assert sorted(tmp_path.rglob("*")) == before


def test_a_link_in_a_zip_is_no_regular_file(folder):
    make_zip(folder / "alice.zip", {CORE: link_member(CORE)})
    assert take(folder).files == {CORE: None}


def test_a_bomb_is_read_up_to_the_limit(folder):
    with (
        zipfile.ZipFile(folder / "alice.zip", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(CORE, "w") as file,
    ):
        for _ in range(200):
            file.write(bytes(2**20))
    assert (folder / "alice.zip").stat().st_size < 2**20
    assert len(take(folder).files[CORE] or b"") == MAX_SOURCE + 1


def test_a_zip_that_lies_about_its_sizes(folder):
    """The directory says 10 bytes where the data has a million."""
    make_zip(folder / "alice.zip", {CORE: bytes(10**6)})
    data = (folder / "alice.zip").read_bytes().replace(struct.pack("<I", 10**6), struct.pack("<I", 10))
    (folder / "alice.zip").write_bytes(data)
    entry = take(folder)
    assert entry.problem is not None or len(entry.files[CORE] or b"") <= MAX_SOURCE + 1


def test_a_name_that_is_there_twice(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        with zipfile.ZipFile(folder / "alice.zip", "w") as archive:
            archive.writestr(CORE, "good")
            archive.writestr(CORE, "evil")
    assert take(folder).problem == f"the zip has {CORE} twice"


def test_names_in_a_zip_may_begin_with_a_dot_and_a_slash(folder):
    make_zip(folder / "alice.zip", {"./assignment/" + CORE: b"x = 1"})
    assert take(folder).files == {CORE: b"x = 1"}


def test_a_whole_repository_with_its_history_is_not_too_large(folder):
    with zipfile.ZipFile(folder / "alice.zip", "w") as archive:
        archive.writestr("repo/.git/objects/pack/pack-1.pack", bytes(80 * 2**20))
        archive.writestr(f"repo/assignment/{CORE}", "x = 1")
    assert take(folder).files == {CORE: b"x = 1"}


def test_a_table_of_contents_is_not_read_however_large_it_is(folder, monkeypatch):
    make_zip(folder / "alice.zip", {f"{n}.txt": b"" for n in range(1000)})
    assert str(take(folder).problem).startswith("there is no")
    monkeypatch.setattr(intake, "MAX_CONTENTS", 20_000)
    assert "table of contents" in str(take(folder).problem)


def test_too_large_and_too_many(folder, monkeypatch):
    monkeypatch.setattr(intake, "MAX_ENTRIES", 10)
    make_zip(folder / "alice.zip", {f"{n}.txt": b"" for n in range(11)})
    assert take(folder).problem == "the zip has more than 10 entries"
    with (folder / "bob.zip").open("wb") as file:
        file.truncate(intake.MAX_ARCHIVE + 1)
    assert "larger than" in str(take(folder, "bob").problem)


def test_encrypted_and_uncommon_zips(folder):
    make_zip(folder / "alice.zip", {CORE: b"x = 1"})
    data = bytearray((folder / "alice.zip").read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (folder / "alice.zip").write_bytes(data)
    with zipfile.ZipFile(folder / "bob.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr(CORE, "x = 1")
    assert take(folder).problem == "the zip is encrypted"
    assert "uncommon" in str(take(folder, "bob").problem)


def test_damaged_zips_are_read_or_refused_and_never_an_error():
    ended = fuzz(1000, seed=1)
    assert ended["read"] > 100
    assert ended.total() == 1000
