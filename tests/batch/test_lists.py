"""The instructor's lists: read as a spreadsheet writes them, and stopped at by any mistake in them."""

from pathlib import Path

import pytest

from grader.batch.lists import Override, Student, read_commits, read_overrides, read_roster
from grader.settings import UsageProblem


@pytest.fixture
def write(tmp_path: Path):
    def write_file(content: str | bytes, name: str = "list") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_file


def test_a_roster_as_spreadsheets_write_it(write):
    path = write('\ufeffName,Login,Student_ID,Group\r\n"Wu, Ann",Alice,12,A\r\n,,,\r\n张三,bob,,B\r\n')
    assert read_roster(path) == {
        "alice": Student("Alice", "12", "Wu, Ann"),
        "bob": Student("bob", "", "张三"),
    }


def test_names_are_compared_as_they_look(write):
    """A name typed on one system and a folder made on another write an accent differently."""
    decomposed = "Ame\u0301lie"
    assert list(read_roster(write(f"login\n{decomposed}\n"))) == ["amélie"]
    assert list(read_overrides(write(f'["{decomposed}"]\nscore = 1\nreason = "x"\n'))) == ["amélie"]


def test_a_cell_may_have_odd_line_ends_in_it(write):
    assert read_roster(write('login,name\nalice,"Al\x0bi\u2028ce"\n'))["alice"].name == "Al\x0bi\u2028ce"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name,student_id\nx,1\n", "the column 'login' is missing"),
        ("", "the column 'login' is missing"),
        ("login\nalice\nALICE\n", "ALICE is there twice"),
        ("login,name\n,Nobody\n", "line 2 has no login"),
        (b"login\n\xff\xfe\n", "not UTF-8"),
        ("name,login,student_id\nDoe, John,jdoe,17\n", "line 2 has 4 cells and the first line 3"),
        ("login,name\nalice\n", "line 2 has 1 cells and the first line 2"),
        ('login,name\nalice,"Al\nbob,Bo\n', "is no CSV: unexpected end of data"),
        ("login,name,login\nalice,Al,alicia\n", "there are 2 columns 'login'"),
        (f"login\n{'x' * 200_000}\n", "is no CSV: field larger"),
    ],
)
def test_mistakes_in_a_roster(write, content, message):
    with pytest.raises(UsageProblem, match=message):
        read_roster(write(content))


def test_commits(write):
    assert read_commits(write(f"login,commit\nAlice,{'AB' * 20}\nbob,\n")) == {"alice": "ab" * 20}


@pytest.mark.parametrize("commit", ["main", "abc1234", "HEAD~1", "-" * 40, "a" * 41])
def test_a_commit_is_written_in_full(write, commit):
    with pytest.raises(UsageProblem, match="in full"):
        read_commits(write(f"login,commit\nalice,{commit}\n"))


def test_overrides(write):
    path = write(
        '[Alice]\nscore = 80\nreason = "late by agreement"\n["b.o"]\nbonus = 0\nreason = "copied"\nby = "Lee"\n'
    )
    assert read_overrides(path) == {
        "alice": Override("Alice", "late by agreement", score=80),
        "b.o": Override("b.o", "copied", bonus=0, by="Lee"),
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[a]\nscore = 80\n", "has no reason"),
        ('[a]\nscore = 80\nreason = "  "\n', "has no reason"),
        ('[a]\nreason = "because"\n', "overrides nothing"),
        ('[a]\nscore = 101\nreason = "because"\n', "from 0 to 100"),
        ('[a]\nscore = -1\nreason = "because"\n', "from 0 to 100"),
        ('[a]\nscore = 1.5\nreason = "because"\n', "must be int"),
        ('[a]\nscore = true\nreason = "because"\n', "must be int"),
        ('[a]\npoints = 1\nreason = "because"\n', "is unknown"),
        ('[a]\nscore = 1\nreason = "x"\n[A]\nscore = 2\nreason = "y"\n', "there twice"),
        ("a = 3\n", "must be a table"),
        ("[a\n", "not a TOML file"),
    ],
)
def test_mistakes_in_overrides(write, content, message):
    with pytest.raises(UsageProblem, match=message):
        read_overrides(write(content))


def test_a_list_that_is_not_there(tmp_path):
    for read in (read_roster, read_commits, read_overrides):
        with pytest.raises(UsageProblem, match="cannot be read"):
            read(tmp_path / "absent")
