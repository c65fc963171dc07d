"""Files to bytes, the same ones every time: git object ids, zip and tar archives, folders."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import shutil
import signal
import tarfile
import tempfile
import threading
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from solution.release.content import ReleaseError

_FIRST_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say
EXECUTABLE = {"run_autograder", "setup.sh"}


def tree_id(files: Mapping[str, bytes], folder: str) -> str:
    """The id that git gives to a folder with these files, none of them executable (40 hex digits, SHA-1).

    Content alone decides it, so it names exactly this version of the folder wherever it lies.
    """
    entries: dict[str, bytes] = {}
    below: set[str] = set()
    for path, content in files.items():
        if path.startswith(f"{folder}/"):
            name, separator, _ = path.removeprefix(f"{folder}/").partition("/")
            if separator:
                below.add(name)
            else:
                entries[name] = f"100644 {name}\0".encode() + _object("blob", content)
    for name in below:
        # git sorts a folder as if its name ended in a slash
        entries[f"{name}/"] = f"40000 {name}\0".encode() + bytes.fromhex(tree_id(files, f"{folder}/{name}"))
    return _object("tree", b"".join(entries[name] for name in sorted(entries, key=str.encode))).hex()


def _object(kind: str, content: bytes) -> bytes:
    # not for security: git's own naming
    return hashlib.sha1(f"{kind} {len(content)}\0".encode() + content, usedforsecurity=False).digest()


def zip_bytes(files: Mapping[str, bytes]) -> bytes:
    """A zip archive, sorted by name, every file with the same date."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _FIRST_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, whose modes follow
            entry.external_attr = (0o100755 if name in EXECUTABLE else 0o100644) << 16
            archive.writestr(entry, files[name])
    return out.getvalue()


def tar_bytes(files: Mapping[str, bytes]) -> bytes:
    """A gzipped tar archive, sorted by name, with no names of people and no dates."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(files):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(files[name]), 0o644
            archive.addfile(entry, io.BytesIO(files[name]))
    return gzip.compress(out.getvalue(), mtime=0)


class NotOurs(ReleaseError):
    """A folder of that name is there, and no release made it: nothing was written."""


def check_ours(directory: Path, signs: Sequence[str]) -> None:
    """Tell a folder that a release may write to: it is not there, is empty, or an earlier release made it.

    Args:
        signs: what every release has had in it.

    Raises:
        NotOurs: it is someone else's.
        ReleaseError: something of that name is no folder.
    """
    _check_folder(directory)
    if not directory.exists() or {path.name for path in directory.iterdir()} <= {".git"}:
        return
    if lacking := [name for name in signs if not (directory / name).exists()]:
        raise NotOurs(
            f"{directory} was not made by a release (it has no {lacking[0]}): move it away, or name another --out"
        )


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Let Ctrl-C wait for the end of the block, a second or two, so that nothing is left half-written."""
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if threading.current_thread() is not threading.main_thread() or not usual:
        yield  # it is not told here, or is ignored, as in the background of a shell
        return
    waiting: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: waiting.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if waiting:
        raise KeyboardInterrupt


def write_folder(
    files: Mapping[str, bytes],
    directory: Path,
    *,
    keep: frozenset[str] = frozenset(),
    owned: Sequence[str] | None = None,
) -> None:
    """Make a folder hold exactly these files, but for the entries of it that are kept.

    What was there goes only when all of the new is on the disk.

    Args:
        owned: only these paths in it are replaced, and all else is kept; the files lie in them.

    Raises:
        ReleaseError: something of that name is no folder.
    """
    _check_folder(directory)
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=f".{directory.name}.") as folder:
        fresh = Path(folder)
        for name, content in files.items():
            target = fresh / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            os.chmod(target, 0o755 if name in EXECUTABLE else 0o644)
        everything = {path.name for place in (directory, fresh) for path in place.iterdir()}
        for name in sorted(everything - keep) if owned is None else owned:
            _replace(directory / name, fresh / name)


def _replace(old: Path, new: Path) -> None:
    """``new`` in the place of ``old``; either may be absent."""
    if old.is_dir() and not old.is_symlink():
        shutil.rmtree(old)
    else:
        old.unlink(missing_ok=True)
    if new.exists():
        old.parent.mkdir(parents=True, exist_ok=True)
        new.rename(old)


def write_file(content: bytes, path: Path) -> None:
    """Write a file, whole or not at all."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        fresh = Path(folder) / path.name
        fresh.write_bytes(content)
        fresh.replace(path)


def _check_folder(directory: Path) -> None:
    if directory.is_symlink() or (directory.exists() and not directory.is_dir()):
        raise ReleaseError(f"{directory}: not a folder")
