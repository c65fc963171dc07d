"""Git checkouts: read at the recorded commit, whatever the checkout's own configuration would like to do."""

import hashlib
import os
import subprocess
import zlib
from pathlib import Path

import pytest

from grader.batch.checkouts import CheckoutProblem, is_checkout, read_commit
from grader.batch.intake import FILENAMES, take_class
from grader.submission import MAX_SOURCE

CORE = FILENAMES[0]


def git(folder: Path, *arguments: str, **environment: str) -> str:
    who = {f"GIT_{role}_{what}": "x" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True,
        env={**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull, **environment},
    )  # fmt: skip
    return done.stdout.strip()


def commit(folder: Path, text: str | bytes, **environment: str) -> str:
    (folder / CORE).write_bytes(text.encode() if isinstance(text, str) else text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--no-verify", "-m", "work", **environment)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "class" / "alice"
    folder.mkdir(parents=True)
    git(folder, "init", "-q")
    return folder


def read(folder: Path, hash_: str) -> bytes | None:
    return read_commit(folder, hash_, [CORE], largest=MAX_SOURCE)[CORE]


def test_the_recorded_commit_counts_and_not_what_lies_there(checkout):
    first = commit(checkout, "in time")
    # a later push with an earlier date, and changes that were never committed
    commit(
        checkout, "too late", GIT_AUTHOR_DATE="2001-01-01T00:00:00", GIT_COMMITTER_DATE="2001-01-01T00:00:00"
    )
    (checkout / CORE).write_text("not even committed")
    entry = take_class(checkout.parent, commits={"alice": first}).entries[0]
    assert (entry.files, entry.commit, entry.kind) == ({CORE: b"in time"}, first, "git")


def test_with_recorded_commits_nothing_else_is_taken(checkout):
    commit(checkout, "work")
    for name in ("bob", "carol"):
        (checkout.parent / name).mkdir()
        (checkout.parent / name / CORE).write_text("x = 1")
    entries = take_class(checkout.parent, commits={"bob": "0" * 40}).entries
    problems = {entry.login: str(entry.problem) for entry in entries}
    assert "the list of commits has none" in problems["alice"]
    assert "is no git checkout" in problems["bob"]
    assert "the list of commits has none" in problems["carol"]


def test_a_commit_that_was_pushed_away(checkout):
    commit(checkout, "work")
    with pytest.raises(CheckoutProblem, match="is not in it"):
        read(checkout, "0123456789" * 4)


def test_a_bare_repository_and_files_in_assignment(checkout, tmp_path):
    (checkout / "assignment").mkdir()
    (checkout / "assignment" / CORE).write_text("x = 1")
    git(checkout, "add", "-A")
    git(checkout, "commit", "-q", "-m", "work")
    hash_ = git(checkout, "rev-parse", "HEAD")
    (tmp_path / "bare").mkdir()
    git(tmp_path, "clone", "-q", "--bare", str(checkout), "bare/bob.git")
    entry = take_class(tmp_path / "bare", commits={"bob": hash_}).entries[0]
    assert (entry.login, entry.files) == ("bob", {CORE: b"x = 1"})


def test_nothing_of_the_checkout_runs(checkout, tmp_path):
    """Configuration, hooks, filters, helpers and remotes that would each leave a mark."""
    mark = tmp_path / "mark"
    script = checkout / ".git" / "run"
    script.write_text(f'#!/bin/sh\necho "$0" >> {mark}\ncat\n')
    script.chmod(0o755)
    (checkout / ".gitattributes").write_text("* filter=evil diff=evil\n")
    hash_ = commit(checkout, "x = 1")
    for name in (
        "post-checkout",
        "pre-commit",
        "reference-transaction",
        "fsmonitor-watchman",
        "post-index-change",
    ):
        (checkout / ".git" / "hooks").mkdir(exist_ok=True)
        (checkout / ".git" / "hooks" / name).write_text(script.read_text())
        (checkout / ".git" / "hooks" / name).chmod(0o755)
    with (checkout / ".git" / "config").open("a") as config:
        config.write(
            f"[core]\n fsmonitor = {script}\n pager = {script}\n sshCommand = {script}\n hooksPath = .git/hooks\n"
            f' editor = {script}\n[filter "evil"]\n smudge = {script}\n clean = {script}\n required = true\n'
            f'[diff "evil"]\n textconv = {script}\n command = {script}\n'
            f'[remote "origin"]\n url = ext::{script}\n promisor = true\n partialclonefilter = blob:none\n'
            f"[alias]\n cat-file = !{script}\n ls-tree = !{script}\n[extensions]\n partialClone = origin\n"
            f"[include]\n path = {script}\n[credential]\n helper = !{script}\n"
        )
    assert read(checkout, hash_) == b"x = 1"
    with pytest.raises(CheckoutProblem):  # a promisor would be asked for this one
        read(checkout, "1" * 40)
    assert not mark.exists()


@pytest.mark.parametrize(
    "how", ["alternates", "objects is a link", ".git is a link", ".git is a file", "pack is a link"]
)
def test_a_store_that_borrows_from_elsewhere_is_refused(checkout, tmp_path, how):
    hash_ = commit(checkout, "x = 1")
    thief = tmp_path / "thief"
    thief.mkdir()
    git(thief, "init", "-q")
    if how == "alternates":
        (thief / ".git/objects/info/alternates").write_text(str(checkout / ".git/objects"))
    elif how == "objects is a link":
        (thief / ".git/objects").rename(thief / "old")
        (thief / ".git/objects").symlink_to(checkout / ".git/objects")
    elif how == "pack is a link":
        (thief / ".git/objects" / hash_[:2]).symlink_to(checkout / ".git/objects" / hash_[:2])
    else:
        (thief / ".git").rename(thief / "old")
        if how == ".git is a link":
            (thief / ".git").symlink_to(checkout / ".git")
        else:
            (thief / ".git").write_text(f"gitdir: {checkout / '.git'}")
    assert is_checkout(thief)
    with pytest.raises(CheckoutProblem, match=r"plain folder|borrows"):
        read(thief, hash_)


def put(folder: Path, name: str, kind: str, content: bytes) -> None:
    """Put an object under any name, as whoever has the store can."""
    path = folder / ".git" / "objects" / name[:2] / name[2:]
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(zlib.compress(f"{kind} {len(content)}\0".encode() + content))


@pytest.mark.parametrize("kind", ["blob", "tree", "commit"])
def test_other_content_under_the_name_that_the_server_recorded_is_refused(checkout, kind):
    """git itself says nothing: it hashes what it writes, and not what it reads."""
    in_time = commit(checkout, "in time")
    of_kind = {"blob": f"{in_time}:{CORE}", "tree": f"{in_time}^{{tree}}", "commit": in_time}
    name = git(checkout, "rev-parse", of_kind[kind])
    late = git(checkout, "rev-parse", of_kind[kind].replace(in_time, commit(checkout, "too late")))
    content = subprocess.run(
        ["git", "cat-file", kind, late], cwd=checkout, check=True, capture_output=True
    ).stdout
    put(checkout, name, kind, content)
    assert git(checkout, "show", f"{in_time}:{CORE}") == "too late"
    with pytest.raises(CheckoutProblem, match=f"the {kind} {name} has another content"):
        read(checkout, in_time)


@pytest.mark.parametrize(
    ("kind", "content"),
    [("commit", b"tree --batch\n"), ("commit", b""), ("tree", b"100644 x"), ("tree", b"\xff x\0")],
)
def test_a_malformed_object_of_the_right_name_is_a_problem_and_no_crash(checkout, kind, content):
    name = hashlib.sha1(f"{kind} {len(content)}\0".encode() + content).hexdigest()
    put(checkout, name, kind, content)
    if kind == "tree":
        content = f"tree {name}\n".encode()
        name = hashlib.sha1(f"commit {len(content)}\0".encode() + content).hexdigest()
        put(checkout, name, "commit", content)
    with pytest.raises(CheckoutProblem, match=r"malformed|is not in it"):
        read(checkout, name)


def test_links_and_folders_in_a_commit_are_no_regular_files(checkout):
    (checkout / CORE).symlink_to("/etc/passwd")
    git(checkout, "add", "-A")
    git(checkout, "commit", "-q", "-m", "link")
    assert read(checkout, git(checkout, "rev-parse", "HEAD")) is None


def test_a_large_file_is_not_unpacked(checkout):
    hash_ = commit(checkout, bytes(MAX_SOURCE + 2))
    assert len(read(checkout, hash_) or b"") == MAX_SOURCE + 1


def test_a_tag_is_no_commit_and_no_tampering(checkout):
    commit(checkout, "work")
    git(checkout, "tag", "-a", "due", "-m", "what counts")
    tag = git(checkout, "rev-parse", "due")
    with pytest.raises(CheckoutProblem, match=f"{tag} is a tag and no commit: record the commit itself"):
        read(checkout, tag)
    assert read(checkout, git(checkout, "rev-parse", "due^{commit}")) == b"work"


@pytest.mark.parametrize("kind", ["commit", "tree"])
def test_a_large_commit_or_folder_is_not_read(checkout, kind, monkeypatch):
    hash_ = commit(checkout, "work")
    large = hash_ if kind == "commit" else git(checkout, "rev-parse", "HEAD^{tree}")
    sizes = {name: int(git(checkout, "cat-file", "-s", name)) for name in (hash_, large)}
    monkeypatch.setattr("grader.batch.checkouts.LARGEST_OBJECT", sizes[large] - 1)
    with pytest.raises(CheckoutProblem, match="too large"):
        read(checkout, hash_)


def test_without_recorded_commits_a_checkout_is_taken_as_it_lies(checkout):
    commit(checkout, "committed")
    (checkout / CORE).write_text("as it lies")
    entry = take_class(checkout.parent).entries[0]
    assert (entry.files, entry.commit) == ({CORE: b"as it lies"}, None)
