"""What was handed in: folders, zip files and git checkouts become the bytes of the contract's files, and nothing else.

Nothing is ever unpacked: of an archive or a checkout only the files that the contract names, and the leaderboard entry
beside them, are read, each up to the size limit of a submission, so an entry called ``../../x``, a link or a bomb has
nowhere to go. They are looked for in ``assignment/``, at the top, or in both places below a single top-level folder,
which is what zips of a repository have: all of them in the first place that has the core part's file, or else in the
first that has any. Where several places have some, a note says so, and two core parts that differ are not guessed at.

What cannot be taken is not graded and is no zero: the entry says why, and a person decides.
"""

from __future__ import annotations

import io
import os
import re
import stat
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from grader.batch.checkouts import CheckoutProblem, is_checkout, read_commit
from grader.contract import PARTS
from grader.submission import CHALLENGE, MAX_SOURCE, read_submission

MAX_ARCHIVE = 2**30  # bytes of a zip file, few of which are read; a repository with .git has 70 MB
MAX_CONTENTS = 4 * 2**20  # bytes of its table of contents, which is read whole
MAX_ENTRIES = 20_000
FILENAMES = tuple(part.filename for part in PARTS)
CORE = tuple(part.filename for part in PARTS if part.core)
TAKEN = (*FILENAMES, CHALLENGE)
"""What is read; a place that has none of the parts' files has no submission."""
RESERVED = frozenset({"grades.csv", "summary.json", "changes.csv", "class.html"})
_OTHER_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst", ".7z", ".rar")
# What operating systems and archivers leave lying about.
_LITTER = frozenset({"__macosx", "thumbs.db", "desktop.ini"})
_UNUSABLE_LOGIN = re.compile(r"[\x00-\x1f\x7f/\\:*?\"<>|]|^[.\s~-]|[.\s]$")
_ZIP_TROUBLE = (
    *(zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, OSError, EOFError),
    *(ValueError, OverflowError, RuntimeError, NotImplementedError, KeyError),
)

Files = Mapping[str, bytes | None]
"""File name -> content; None where something of that name is no regular file."""


class IntakeProblem(Exception):
    """This submission cannot be taken; the message says why, for the instructor."""


@dataclass(frozen=True)
class Entry:
    """One submission as it was found.

    Attributes:
        login: whose it is: the name of its folder or zip file.
        source: where it lies.
        kind: ``folder``, ``zip`` or ``git``; ``link`` or ``archive`` where there is a problem.
        files: what is graded; empty where there is a problem.
        hash: the submission's hash as every report has it; "" where there is a problem.
        commit: the recorded commit that the files were read at.
        problem: why it cannot be taken, or None.
        notes: odd things that change nothing, but that a person may want to know.
    """

    login: str
    source: Path
    kind: str
    files: Files
    hash: str = ""
    commit: str | None = None
    problem: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Class:
    """Everything in a folder of submissions; ``ignored`` are the names that are no submissions."""

    entries: tuple[Entry, ...]
    ignored: tuple[str, ...]


def take_class(directory: Path, *, commits: Mapping[str, str] | None = None, login_prefix: str = "") -> Class:
    """Read every submission in a folder, by login.

    Args:
        commits: login (case folded) -> commit that the server had at the deadline. With it, only git checkouts are
            taken, and only at their recorded commit.
        login_prefix: what precedes the login in every name, e.g. the assignment's.

    Raises:
        OSError: the folder cannot be listed.
    """
    entries, ignored = [], []
    for path in sorted(directory.iterdir(), key=lambda p: p.name):
        if path.name.startswith(".") or path.name.lower() in _LITTER or _kind(path) is None:
            ignored.append(printable(path.name))
        else:
            entries.append(_take(path, commits, login_prefix))
    of_login: dict[str, list[Entry]] = {}
    for entry in entries:
        of_login.setdefault(entry.login.casefold(), []).append(entry)
    return Class(tuple(_only(found) for found in of_login.values()), tuple(ignored))


def write_files(files: Files, directory: Path) -> None:
    """Lay the files out as a plain submission; what is no regular file becomes a folder of that name."""
    directory.mkdir(parents=True)
    for name, content in files.items():
        if content is None:
            (directory / name).mkdir()
        else:
            (directory / name).write_bytes(content)


def _only(entries: Sequence[Entry]) -> Entry:
    """The only entry of a login; where there are several, none of them: which one counts is for a person to say."""
    unpacked = [entry for entry in entries if entry.kind != "archive"]
    if len(unpacked) == 1 and len(entries) > 1:  # the archive that it was unpacked from may lie beside it
        beside = ", ".join(printable(entry.source.name) for entry in entries if entry.kind == "archive")
        return replace(unpacked[0], notes=(*unpacked[0].notes, f"{beside} beside it was not read"))
    if len(entries) == 1:
        return entries[0]
    names = ", ".join(printable(entry.source.name) for entry in entries)
    first = entries[0]
    return Entry(
        first.login, first.source, first.kind, {}, problem=f"several submissions have this login: {names}"
    )


def printable(name: str) -> str:
    """A file's name as text that can be written down: one that is no UTF-8 has its odd bytes spelt out."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _kind(path: Path) -> str | None:
    if path.is_symlink():
        return "link"
    if path.is_dir():
        return "git" if is_checkout(path) else "folder"
    if path.suffix.lower() == ".zip":
        return "zip"
    return "archive" if path.name.lower().endswith(_OTHER_ARCHIVES) else None


def _login(path: Path, kind: str, prefix: str) -> str:
    name = printable(path.stem if kind == "zip" else path.name)
    if kind == "archive":
        name = name[: -max(len(end) for end in _OTHER_ARCHIVES if name.lower().endswith(end))]
    if kind == "git":
        name = name.removesuffix(".git")  # a bare repository
    return unicodedata.normalize("NFC", name.removeprefix(prefix))


def _take(path: Path, commits: Mapping[str, str] | None, prefix: str) -> Entry:
    kind = _kind(path) or ""
    login = _login(path, kind, prefix)
    entry = Entry(login, path, kind, {})
    try:
        if not is_login(login):
            raise IntakeProblem("its name cannot be a login: rename it")
        if kind == "link":
            raise IntakeProblem("a symbolic link is not followed")
        if kind == "archive":
            raise IntakeProblem("of archives only zip files are taken: unpack it into a folder of this name")
        commit = None
        if commits is not None:
            commit = commits.get(login.casefold())
            files, notes = _at_commit(path, kind, commit)
        else:
            files, notes = _read_zip(path) if kind == "zip" else _read_folder(path)
        if not files:
            raise IntakeProblem(f"there is no {', '.join(FILENAMES)} in it")
        return replace(entry, files=files, hash=_hash(files), commit=commit, notes=tuple(notes))
    except (IntakeProblem, CheckoutProblem) as problem:
        return replace(entry, problem=str(problem))
    except OSError as error:
        return replace(entry, problem=f"cannot be read: {error.strerror or error}")


def is_login(text: str) -> bool:
    """Whether a text can name a folder of results and a line of a table, on every system."""
    return (
        0 < len(text.encode("utf-8", "surrogatepass")) <= 120
        and not _UNUSABLE_LOGIN.search(text)
        and text.isprintable()
        and text.lower() not in RESERVED
    )


def _at_commit(path: Path, kind: str, commit: str | None) -> tuple[Files, list[str]]:
    if commit is None:
        raise IntakeProblem(
            "the list of commits has none for this login: nothing was pushed in time, or nothing could be read"
        )
    if kind != "git":
        raise IntakeProblem("it is no git checkout, so it cannot be read at its recorded commit")
    paths = [place + name for place in _PLACES for name in TAKEN]
    found = read_commit(path, commit, paths, largest=MAX_SOURCE)
    return _choose(found, _PLACES, found.__getitem__)


_PLACES = ("assignment/", "")
"""Where the files may lie, below the top."""


def _choose(
    there: Collection[str], places: Iterable[str], read: Callable[[str], bytes | None]
) -> tuple[Files, list[str]]:
    """The files that count, all of one place, and what a person should know of the choice.

    Args:
        there: the paths that exist.
        places: where the files may lie, each with a slash at its end; the likeliest first.
        read: gives the content of a path.

    Raises:
        IntakeProblem: two places have the core part, and not the same one.
    """
    names = {place: [name for name in TAKEN if place + name in there] for place in dict.fromkeys(places)}
    filled = [place for place in names if set(names[place]) & set(FILENAMES)]
    if not filled:
        return {}, []
    with_core = [place for place in filled if set(names[place]) & set(CORE)]
    if len({read(place + name) for place in with_core for name in CORE}) > 1:
        raise IntakeProblem(f"{_list(with_core)} have another {CORE[0]} each: remove all but one")
    chosen = (with_core or filled)[0]
    files = {name: read(chosen + name) for name in names[chosen]}
    choice = f"{_list(filled)} have files of the assignment: {_list([chosen])} was taken"
    return files, [choice] if len(filled) > 1 else []


def _list(places: Iterable[str]) -> str:
    return " and ".join(printable(place) or "the top folder" for place in places)


def _hash(files: Files) -> str:
    with tempfile.TemporaryDirectory(prefix="backdoor-lab-") as scratch:
        write_files(files, Path(scratch) / "submission")
        return read_submission(Path(scratch) / "submission").hash


# --- folders ---------------------------------------------------------------------------------------------------------


def _read_folder(path: Path) -> tuple[Files, list[str]]:
    below = [p for p in path.iterdir() if p.name.lower() not in _LITTER and not p.name.startswith(".")]
    folders = [p for p in below if p.is_dir() and not p.is_symlink()]
    places = [*_PLACES, *(f"{folders[0].name}/{place}" for place in _PLACES if len(folders) == 1)]
    # a link in the way could lead anywhere on this machine
    places = [p for p in places if not (path / p).is_symlink() and (path / p).is_dir()]
    there = {place + name for place in places for name in TAKEN if os.path.lexists(path / place / name)}
    files, notes = _choose(there, places, lambda name: _read_regular(path / name))
    if files:
        return files, notes
    archives = [p for p in below if p.suffix.lower() == ".zip" and not p.is_symlink()]
    if len(archives) == 1:  # some course platforms make a folder around the zip
        return _read_zip(archives[0])
    return {}, []


def _read_regular(path: Path) -> bytes | None:
    """Up to one byte more than a submission may have; neither follows a link nor waits on a pipe."""
    flags = (
        os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    )
    if not stat.S_ISREG(os.lstat(path).st_mode):
        return None
    with os.fdopen(os.open(path, flags), "rb") as file:
        return file.read(MAX_SOURCE + 1) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None


# --- zip files -------------------------------------------------------------------------------------------------------


def _read_zip(path: Path) -> tuple[Files, list[str]]:
    """The contract's files of a zip, each read up to the size limit whatever the archive says of its size."""
    status = os.lstat(path)
    if not stat.S_ISREG(status.st_mode):
        raise IntakeProblem("the zip is no regular file")
    if status.st_size > MAX_ARCHIVE:
        raise IntakeProblem(f"the zip is larger than {MAX_ARCHIVE // 2**20} MiB")
    try:
        with _ShortReads(io.FileIO(path)) as file, zipfile.ZipFile(file) as archive:
            return _read_archive(archive)
    except _ZIP_TROUBLE as error:
        raise IntakeProblem(f"the zip cannot be read: {error}") from None


class _ShortReads(io.BufferedReader):
    """A file for ``zipfile``, which reads a table of contents at once, however large it says that it is."""

    def read(self, size: int | None = -1) -> bytes:
        most = MAX_CONTENTS + 1
        data = super().read(most if size is None or size < 0 else min(size, most))
        if len(data) == most:
            raise IntakeProblem(f"the zip's table of contents is larger than {MAX_CONTENTS // 2**20} MiB")
        return data


def _read_archive(archive: zipfile.ZipFile) -> tuple[Files, list[str]]:
    infos = archive.infolist()
    if len(infos) > MAX_ENTRIES:
        raise IntakeProblem(f"the zip has more than {MAX_ENTRIES} entries")
    names = [(re.sub(r"^(\./+)+", "", info.filename.replace("\\", "/")), info) for info in infos]
    leaving = [name for name, _ in names if name.startswith("/") or ".." in PurePosixPath(name).parts]
    notes = [f"{len(leaving)} names in the zip lead out of it, e.g. {leaving[0]!r}"] if leaving else []
    tops = {name.split("/")[0] for name, _ in names if "/" in name and name[0] not in "./"}
    tops = {top for top in tops if top.lower() not in _LITTER}
    places = [*_PLACES, *(f"{top}/{place}" for top in tops if len(tops) == 1 for place in _PLACES)]
    wanted: dict[str, list[zipfile.ZipInfo]] = {}
    for name, info in names:
        place, _, last = name.rstrip("/").rpartition("/")
        if last in TAKEN and (f"{place}/" if place else "") in places:
            wanted.setdefault(name.rstrip("/"), []).append(info)
    twice = [name for name, found in wanted.items() if len(found) > 1]
    if twice:  # which of them counts is a matter of who unpacks it
        raise IntakeProblem(f"the zip has {twice[0]} twice")
    files, choice = _choose(wanted, places, lambda path: _read_member(archive, wanted[path][0]))
    return files, [*notes, *choice]


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes | None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if info.is_dir() or kind not in (0, stat.S_IFREG):
        return None
    if info.flag_bits & 0x1:
        raise IntakeProblem("the zip is encrypted")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise IntakeProblem("the zip is compressed in an uncommon way; stored and deflated files are taken")
    with archive.open(info) as file:
        return file.read(MAX_SOURCE + 1)


def identical(entries: Sequence[Entry]) -> list[list[str]]:
    """Groups of logins whose parts have the same bytes; another leaderboard entry beside them makes no difference.

    Of those without a file that could be read nothing is known, so they are like nobody.
    """
    groups: dict[object, list[str]] = {}
    for entry in entries:
        if entry.problem is None:
            parts = {name: content for name, content in entry.files.items() if name != CHALLENGE}
            if any(content is not None for content in parts.values()):
                groups.setdefault(frozenset(parts.items()), []).append(entry.login)
    return [logins for logins in groups.values() if len(logins) > 1]
