"""``class.yml``: its shell steps, run against local bare repositories and a stand-in for GitHub's API."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from grader.isolation import available_isolation
from tests.batch.helpers import ROOT, challenge, small_spec, solution
from tests.release.workflows import WORKFLOWS, Job

pytestmark = [
    pytest.mark.skipif(
        shutil.which("git") is None or shutil.which("bash") is None, reason="needs git and bash"
    ),
    pytest.mark.skipif(
        available_isolation()[0] != "bubblewrap", reason=f"no bubblewrap: {available_isolation()[1]}"
    ),
]
DEADLINE = "2026-12-01T12:00:00+01:00"
# In place of `gh api`: default branches and pushes from files, statuses and comments to a file.
GH = """
import json, os, sys
server, words = os.environ["SERVER"], sys.argv[2:]
path = next(word for word in words if word.startswith("repos/"))
said = f"{server}/said.json"
told = json.load(open(said)) if os.path.exists(said) else []
repository = "/".join(path.split("/")[1:3]).split("?")[0]
if not os.path.isdir(f"{server}/{repository}"):
    sys.exit("gh: Not Found (HTTP 404)")
if "/activity?ref=refs/heads/main&" in path:
    print(open(f"{server}/{repository}.json").read())
elif path.endswith("/comments"):
    body = next(word for word in words if word.startswith("body=@"))[6:]
    told.append({"path": path, "body": open(body).read()})
elif "--input" in words:
    told.append({"path": path, **json.load(open(words[words.index("--input") + 1]))})
elif path.endswith("/statuses"):
    here = [item for item in told if item["path"] == path.replace("/commits/", "/statuses/").removesuffix("/statuses")]
    print(here[-1]["description"] if here else "")
else:
    print("main")
json.dump(told, open(said, "w"))
"""


class Course:
    """The instructor's repository and a server with the students' ones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = folder / "server"
        self.checkout = folder / "checkout"
        self.lines = ["login,repository"]
        for name in ("grader", "pyproject.toml"):
            self.checkout.mkdir(exist_ok=True)
            (self.checkout / name).symlink_to(ROOT / name)
        (self.checkout / ".github" / "class").mkdir(parents=True)
        small_spec(self.checkout / ".github" / "class" / "spec.toml", name='"secret"', hidden="true")
        (folder / "bin").mkdir()
        gh = folder / "bin" / "gh"
        gh.write_text(f"#!{sys.executable}{GH}")
        gh.chmod(0o755)

    def student(self, login: str, *versions: dict[str, str], pushed: tuple[str, ...]) -> list[str]:
        """A repository with one push a version; the commits. Their own dates all claim to be early."""
        work, bare = self.folder / "work" / login, self.server / "o" / f"lab-{login}"
        work.mkdir(parents=True)
        people = ("-c", "user.name=s", "-c", "user.email=s@s")
        dates = {
            **os.environ,
            "GIT_AUTHOR_DATE": "2020-01-01T00:00:00Z",
            "GIT_COMMITTER_DATE": "2020-01-01T00:00:00Z",
        }

        def git(*arguments: str) -> str:
            done = subprocess.run(
                ["git", *people, *arguments], cwd=work, env=dates, check=True, capture_output=True, text=True
            )
            return done.stdout.strip()

        git("init", "--quiet", "--initial-branch=main")
        commits = []
        for version in versions:
            for path in work.iterdir():
                if path.name != ".git":
                    shutil.rmtree(path)
            for name, text in version.items():
                (work / name).parent.mkdir(parents=True, exist_ok=True)
                (work / name).write_text(text, encoding="utf-8")
            git("add", "--all")
            git("commit", "--quiet", "--allow-empty", "-m", "work")
            commits.append(git("rev-parse", "HEAD"))
        git("clone", "--quiet", "--bare", ".", str(bare))
        pushes = [
            {"timestamp": when, "after": commit, "activity_type": "push"}
            for when, commit in zip(pushed, commits, strict=True)
        ]
        bare.with_suffix(".json").write_text(json.dumps([pushes[::-1][:1], pushes[::-1][1:]]))  # two pages
        self.enrol(login)
        return commits

    def enrol(self, login: str) -> None:
        self.lines.append(f"{login},o/lab-{login}")
        (self.checkout / ".github" / "class" / "repositories.csv").write_text("\n".join(self.lines))

    def run(self, name: str = "grade", *, shard: int = 0, shards: int = 1, **more: Any) -> Job:
        context = {
            "secrets.CLASS_TOKEN": "token", "github.server_url": str(self.server), "inputs.deadline": "",
            "vars.CLASS_DEADLINE": DEADLINE, "matrix.shard": str(shard), "inputs.report": "true",
            "github.event_name": "workflow_dispatch", **more.pop("context", {}),
        }  # fmt: skip
        path = os.pathsep.join(
            (str(self.folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"])
        )
        return Job(
            WORKFLOWS / "class.yml", name, self.checkout, self.folder / f"runner-{name}-{shard}", context=context,
            environment={"PATH": path, "SHARDS": str(shards), "SERVER": str(self.server), "PAUSE": "0"},
            **{"without": frozenset({"Install", "Isolation"}), **more},
        ).run()  # fmt: skip

    @property
    def said(self) -> list[dict[str, str]]:
        path = self.server / "said.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


FILE = "assignment/invisible_trigger.py"
EARLY, LATE = "2026-12-01T10:59:59Z", "2026-12-01T11:00:01Z"


def test_a_class_from_beginning_to_end(tmp_path: Path):
    course = Course(tmp_path)
    entered = {FILE: solution(), "assignment/challenge.toml": challenge()}
    good, _ = course.student("alice", entered, {FILE: "nothing\n"}, pushed=(EARLY, LATE))
    (broken,) = course.student("bob", {FILE: "def apply_trigger(x, delta:\n"}, pushed=(EARLY,))
    course.student("carol", {FILE: solution()}, pushed=(LATE,))
    course.enrol("dave")  # whose repository is gone
    course.student("erin", {"notes.txt": "I deleted the assignment"}, pushed=(EARLY,))
    job = course.run()
    # whoever could be read is graded and told, and the run is red all the same
    assert [name for name, ran in job.steps.items() if ran.conclusion == "failure"] == [
        "Is everybody graded?"
    ], job.log
    assert "::error::dave: o/lab-dave cannot be read" in job.log

    with (job.temporary / "class" / "results" / "grades.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["login"]: row for row in csv.DictReader(file)}
    assert {login: (row["status"], row["score"], row["commit"]) for login, row in rows.items()} == {
        "alice": ("graded", "100", good),
        "bob": ("graded", "0", broken),
        "carol": ("intake_problem", "", ""),
        "dave": ("intake_problem", "", ""),  # and not "no_submission": nobody knows
        "erin": ("intake_problem", "", ""),
    }
    # three steps do not make a backdoor: the entry trained, was told, and left the score alone
    assert [rows[login]["challenge"] for login in ("alice", "bob")] == ["missed", ""]
    statuses = {item["path"]: item for item in course.said if "state" in item}
    assert {path: item["state"] for path, item in statuses.items()} == {
        f"repos/o/lab-alice/statuses/{good}": "success",
        f"repos/o/lab-bob/statuses/{broken}": "failure",
    }
    assert (
        statuses[f"repos/o/lab-alice/statuses/{good}"]["description"] == "Score: 100 of 100 · Bonus: 0 of 50"
    )
    comments = {item["path"]: item["body"] for item in course.said if "body" in item}
    assert "Python cannot read" in comments[f"repos/o/lab-bob/commits/{broken}/comments"]
    assert "Leaderboard" in comments[f"repos/o/lab-alice/commits/{good}/comments"]
    assert "Leaderboard" not in comments[f"repos/o/lab-bob/commits/{broken}/comments"]
    assert "self-check" not in json.dumps(comments)
    assert "0.0314" not in json.dumps(course.said)  # what a hidden spec hides: epsilon

    # The next night: the same grades, so nobody is told again.
    before = course.said
    later = course.run(
        without=frozenset({"Install", "Isolation", "Fetch the submissions", "Grade"}),
        used={"fetch": {"submissions": "3", "unread": "0"}},
    )
    assert not later.failed, later.log
    assert course.said == before

    shards = tmp_path / "runner-gather-0" / "shards"
    for shard in (0, 1):
        shutil.copytree(
            job.temporary / "class" / "results", shards / f"results-{shard}", ignore=lambda *_: [".ledger"]
        )
    gathered = course.run("gather")
    assert gathered.steps["table"].outputs == {"table": "true"}
    with (gathered.temporary / "class" / "grades.csv").open(newline="", encoding="utf-8") as file:
        assert [row["login"] for row in csv.DictReader(file)] == ["alice", "bob", "carol", "dave", "erin"] * 2


def test_every_student_is_in_one_shard(tmp_path: Path):
    course = Course(tmp_path)
    logins = [f"student-{number}" for number in range(5)]
    for login in logins:
        course.enrol(login)
    found = []
    for shard in range(4):
        job = course.run(shard=shard, shards=4, without=frozenset({"Install", "Isolation", "Grade"}))
        count = str(len(range(shard or 4, len(logins) + 1, 4)))
        assert job.steps["fetch"].outputs == {"submissions": count, "unread": count}
        found += (job.temporary / "class" / "roster.csv").read_text().split()[1:]
    assert sorted(found) == logins


@pytest.mark.parametrize("line", ["alice", "alice,https://github.com/o/r", "../x,o/r", "alice;rm,o/r"])
def test_a_line_that_is_no_student_stops_it(line: str, tmp_path: Path):
    course = Course(tmp_path)
    (course.checkout / ".github" / "class" / "repositories.csv").write_text(f"login,repository\n{line}\n")
    job = course.run()
    assert job.steps["fetch"].conclusion == "failure"
    assert "line 2 is not LOGIN,OWNER/NAME" in job.log


@pytest.mark.parametrize("deadline", ["2026-12-01T23:59:00", "next week"])
def test_a_deadline_without_a_zone_stops_it_at_once(deadline: str, tmp_path: Path):
    course = Course(tmp_path)
    course.enrol("alice")
    job = course.run(context={"vars.CLASS_DEADLINE": deadline})
    assert job.steps["here"].conclusion == "failure"
    assert f"::error::the deadline is no ISO 8601 time with its zone: {deadline}" in job.log


def test_what_is_graded_is_kept_and_told_where_the_batch_stops(tmp_path: Path):
    """The last of its steps makes the run red."""
    course = Course(tmp_path)
    course.enrol("alice")
    (course.checkout / "grader").unlink()
    (course.checkout / "grader").mkdir()
    stops = "import pathlib, sys\nout = pathlib.Path(sys.argv[sys.argv.index('--out') + 1])\n"
    stops += "out.mkdir()\n(out / 'grades.csv').write_text('login')\nsys.exit(1)\n"
    (course.checkout / "grader" / "__main__.py").write_text(stops)
    job = course.run()
    assert job.steps["grade"].outputs == {"unfinished": "true"}
    assert [job.steps[name].conclusion for name in ("Report the scores back", "Is everybody graded?")] == [
        "success", "failure",
    ]  # fmt: skip


def test_it_does_nothing_without_a_class_and_asks_for_the_spec(tmp_path: Path):
    course = Course(tmp_path)
    job = course.run()
    assert job.steps.pop("here").outputs == {"class": "false"}
    assert {ran.conclusion for name, ran in job.steps.items() if name != "step 0"} == {"skipped"}
    course.enrol("alice")
    night = course.run(context={"github.event_name": "schedule", "vars.CLASS_DEADLINE": ""})
    assert night.steps["here"].outputs == {"class": "false"}
    assert "No variable CLASS_DEADLINE" in night.log
    night = course.run(
        context={"github.event_name": "schedule", "vars.CLASS_DEADLINE": "2999-12-01T12:00:00+01:00"}
    )
    assert night.steps["here"].outputs == {"class": "false"}
    assert "It is not yet 2999-12-01T12:00:00+01:00" in night.log
    morning = course.run(
        context={"github.event_name": "schedule", "vars.CLASS_DEADLINE": "2020-12-01T12:00:00+01:00"},
        without=frozenset({"Install", "Isolation", "Fetch the submissions", "Grade"}),
        used={"fetch": {"submissions": "0", "unread": "0"}},
    )
    assert morning.steps["here"].outputs == {"class": "true"}
    (course.checkout / ".github" / "class" / "spec.toml").unlink()
    assert "the hidden spec, is missing" in course.run().log
