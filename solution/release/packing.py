"""Files to bytes, the same ones every time: git object ids, zip and tar archives, folders."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import tarfile
import zipfile
from collections.abc import Mapping
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


def write_folder(files: Mapping[str, bytes], directory: Path, *, keep: frozenset[str] = frozenset()) -> None:
    """Make a folder hold exactly these files, but for the entries of it that are kept.

    Raises:
        ReleaseError: something of that name is no folder.
    """
    if directory.is_symlink() or (directory.exists() and not directory.is_dir()):
        raise ReleaseError(f"{directory}: not a folder")
    directory.mkdir(parents=True, exist_ok=True)
    for path in directory.iterdir():
        if path.name not in keep:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for name, content in files.items():
        target = directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        os.chmod(target, 0o755 if name in EXECUTABLE else 0o644)
