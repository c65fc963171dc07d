"""Read a few files of a git checkout at a recorded commit, and let nothing that lies in the checkout act.

A checkout may have been made by the student, ``.git`` and all. So git never runs *in* it: it runs in an empty
repository of our own, and is only pointed at the checkout's store of objects. The checkout's configuration, hooks,
filters, attributes, refs and remotes are never read, which leaves nothing to run and nothing to fetch. A store that
borrows objects from elsewhere on this machine (``alternates``) is refused. git takes an object's name from the store on
trust, and a student could put other content under an old name: so every object on the way from the commit to a file is
hashed here, and must be what it is called.

Dates are not looked at, since author and committer dates are whatever the student wants. What counts is the commit
that the *server* had recorded at the deadline.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path

GIT_SECONDS = 30.0
LARGEST_OBJECT = 2**24
"""Bytes of a commit or a tree; a folder of 20,000 files has a megabyte."""
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_REGULAR = ("100644", "100755")


class CheckoutProblem(Exception):
    """The commit cannot be read; the message says why, for the instructor."""


def is_commit(text: str) -> bool:
    """A full commit hash (a short one or a branch could mean something else tomorrow)."""
    return _COMMIT.fullmatch(text) is not None


def is_checkout(path: Path) -> bool:
    """A folder with ``.git`` in it, or a bare repository."""
    # os.path's, which say no where the folder cannot be entered
    return os.path.lexists(path / ".git") or (
        os.path.isfile(path / "HEAD") and os.path.isdir(path / "objects")
    )


def read_commit(
    checkout: Path, commit: str, paths: Iterable[str], *, largest: int
) -> dict[str, bytes | None]:
    """The files at these paths as the commit has them.

    Args:
        largest: bytes; of a larger file the result has one byte more than this, and they are not the file's.

    Returns:
        path -> content for the paths that the commit has; None where it is no regular file (a link, a folder).

    Raises:
        CheckoutProblem: the commit is not there, or the checkout is not a plain one.
    """
    objects = _Objects(_object_store(checkout), commit)
    root = objects.tree_of_commit()
    found: dict[str, bytes | None] = {}
    for path in paths:
        entry = objects.find(root, path)
        if entry is None:
            continue
        mode, name = entry
        if mode not in _REGULAR:
            found[path] = None
        elif objects.size(name) > largest:
            found[path] = b" " * (largest + 1)
        else:
            found[path] = objects.read("blob", name)
    return found


_Entry = tuple[str, str]  # mode, name of the object


class _Objects:
    """The objects of a store, each held to its name."""

    def __init__(self, store: Path, commit: str) -> None:
        self._store = store
        self._commit = commit
        self._algorithm = "sha1" if len(commit) == 40 else "sha256"
        self._trees: dict[str, dict[bytes, _Entry]] = {}

    def size(self, name: str) -> int:
        """Bytes, before anything is unpacked."""
        return int(_git(self._store, self._commit, "cat-file", "-s", name))

    def read(self, kind: str, name: str) -> bytes:
        """The object's content. Raises CheckoutProblem if it is not what its name says."""
        content = _git(self._store, self._commit, "cat-file", kind, name)
        digest = hashlib.new(
            self._algorithm, f"{kind} {len(content)}\0".encode() + content, usedforsecurity=False
        )
        if digest.hexdigest() != name:
            raise CheckoutProblem(
                f"the {kind} {name} has another content than its name says: it was tampered with"
            )
        return content

    def tree_of_commit(self) -> str:
        self._require_small(self._commit)
        kind = (
            _git(self._store, self._commit, "cat-file", "-t", self._commit).decode("ascii", "replace").strip()
        )
        if kind != "commit":
            raise CheckoutProblem(
                f"{self._commit} is a {kind} and no commit: record the commit itself (git rev-parse 'NAME^{{commit}}')"
            )
        first = self.read("commit", self._commit).split(b"\n", 1)[0].decode("ascii", "replace")
        name = first.removeprefix("tree ")
        if not is_commit(name):
            raise CheckoutProblem(f"commit {self._commit} is malformed: it names no tree")
        return name

    def find(self, tree: str, path: str) -> _Entry | None:
        """What a tree has at a path; None where there is nothing."""
        first, _, rest = path.partition("/")
        entry = self._tree(tree).get(first.encode())
        if not rest or entry is None:
            return entry
        return self.find(entry[1], rest) if entry[0] == "40000" else None

    def _tree(self, name: str) -> dict[bytes, _Entry]:
        if name not in self._trees:
            self._require_small(name)
            try:
                self._trees[name] = _entries(self.read("tree", name), len(name) // 2)
            except ValueError:
                raise CheckoutProblem(f"the tree {name} is malformed") from None
        return self._trees[name]

    def _require_small(self, name: str) -> None:
        if self.size(name) > LARGEST_OBJECT:
            raise CheckoutProblem(f"the object {name} is too large for a commit or a folder")


def _entries(content: bytes, length: int) -> dict[bytes, _Entry]:
    """The entries of a tree: mode, space, name, NUL and the object's name in so many bytes, one behind the other."""
    found, offset = dict[bytes, _Entry](), 0
    while offset < len(content):
        end = content.index(b"\0", offset)
        mode, _, name = content[offset:end].partition(b" ")
        offset = end + 1 + length
        found[name] = (mode.decode("ascii"), content[end + 1 : offset].hex())
    return found


def _object_store(checkout: Path) -> Path:
    directory = checkout / ".git" if os.path.lexists(checkout / ".git") else checkout
    objects = directory / "objects"
    if any(p.is_symlink() for p in (checkout, directory, objects)) or not objects.is_dir():
        raise CheckoutProblem("its .git is not a plain folder (a link, a worktree or a submodule)")
    borrowed = [objects / "info" / name for name in ("alternates", "http-alternates")]
    inside = [path for place in (objects, objects / "pack") if place.is_dir() for path in place.iterdir()]
    if any(os.path.lexists(p) for p in borrowed) or any(p.is_symlink() for p in inside):
        raise CheckoutProblem("its .git borrows objects from elsewhere (alternates or links)")
    return objects


def _git(store: Path, commit: str, *arguments: str) -> bytes:
    try:
        own = _own_repository("sha1" if len(commit) == 40 else "sha256")
        done = subprocess.run(
            ["git", *arguments], cwd=own, stdin=subprocess.DEVNULL, capture_output=True, timeout=GIT_SECONDS,
            env={**_environment(), "GIT_DIR": own, "GIT_OBJECT_DIRECTORY": str(store.absolute())},
        )  # fmt: skip
    except FileNotFoundError:
        raise CheckoutProblem("git is not installed on this machine") from None
    except subprocess.SubprocessError as error:
        raise CheckoutProblem(f"git does not work: {error}") from None
    if done.returncode != 0:
        why = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise CheckoutProblem(f"commit {commit} is not in it: {why[-1] if why else 'git failed'}"[:300])
    return done.stdout


def _environment() -> dict[str, str]:
    """No configuration but the defaults, nothing fetched, nobody asked."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        **({"SYSTEMROOT": os.environ["SYSTEMROOT"]} if "SYSTEMROOT" in os.environ else {}),
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
    }


@cache
def _scratch() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="backdoor-lab-git-")


@cache
def _own_repository(algorithm: str) -> str:
    """An empty bare repository that lends git a configuration."""
    path = Path(_scratch().name) / algorithm
    subprocess.run(
        ["git", "init", "--quiet", "--bare", "--template=", f"--object-format={algorithm}", str(path)],
        env=_environment(), check=True, capture_output=True, timeout=GIT_SECONDS, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return str(path)
