"""The intake of submissions: each zip is read or refused with a reason, and nothing is written anywhere."""

from __future__ import annotations

import io
import random
import tempfile
import warnings
import zipfile
from collections import Counter
from pathlib import Path

from grader.batch.intake import FILENAMES, TAKEN, take_class
from grader.submission import MAX_SOURCE

CORE = FILENAMES[0]
_NAMES = (
    *(
        CORE,
        f"assignment/{CORE}",
        f"repo-main/{CORE}",
        f"repo-main/assignment/{CORE}",
        f"../{CORE}",
        f"/{CORE}",
    ),
    *(
        f"..\\{CORE}",
        f"./{CORE}",
        f"assignment\\{CORE}",
        "",
        "/",
        "..",
        f"{CORE}/",
        "__MACOSX/x",
        "x" * 300,
        "\udcff",
    ),
    *(f"a/b/c/{CORE}", f"{CORE}\0.txt", "grades.csv", f"con/{CORE}", f"名/{CORE}", f"e\u0301/{CORE}"),
)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


def archive(rng: random.Random) -> bytes:
    """A zip with odd names, kinds and methods, damaged more often than not."""
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w") as file:
        warnings.simplefilter("ignore", UserWarning)  # a name twice is meant
        for _ in range(rng.randint(0, 4)):
            info = zipfile.ZipInfo("x")
            info.filename = rng.choice(_NAMES).encode("utf-8", "replace").decode()
            info.compress_type = rng.choice(_METHODS)
            info.external_attr = rng.choice(
                (0, 0o120777 << 16, 0o100644 << 16, 0o010644 << 16, rng.getrandbits(32))
            )
            file.writestr(info, rng.randbytes(rng.randint(0, 40)) * rng.choice((1, 1, 1, 40)))
    data = bytearray(out.getvalue())
    for _ in range(rng.choice((0, 0, 1, 2, 8, 40))):
        if data:
            data[rng.randrange(len(data))] = rng.choice((0, 1, 0xFF, rng.randrange(256)))
    if rng.random() < 0.15:
        del data[rng.randint(0, len(data)) :]
    if rng.random() < 0.05:
        data[:0] = rng.randbytes(rng.randint(1, 60))
    return bytes(data) if rng.random() > 0.02 else rng.randbytes(rng.randint(0, 200))


def fuzz(inputs: int, seed: int, *, batch: int = 100) -> Counter[str]:
    """Take so many zips; counts by how they ended.

    Raises:
        AssertionError: one was neither read nor refused, or something was written somewhere.
    """
    rng = random.Random(seed)
    ended: Counter[str] = Counter()
    for first in range(0, inputs, batch):
        with tempfile.TemporaryDirectory(prefix="fuzz-intake-") as folder:
            outside = Path(folder)
            class_ = outside / "a" / "b" / "class"
            class_.mkdir(parents=True)
            count = min(batch, inputs - first)
            for number in range(count):
                (class_ / f"{number}.zip").write_bytes(archive(rng))
            entries = take_class(class_).entries
            assert len(entries) == count
            for entry in entries:
                assert (entry.problem is None) == bool(entry.files) == bool(entry.hash), entry
                assert set(entry.files) <= set(TAKEN), entry
                assert all(
                    content is None or len(content) <= MAX_SOURCE + 1 for content in entry.files.values()
                )
                ended["read" if entry.problem is None else entry.problem.split(":")[0].split(" has ")[0]] += 1
            written = [p for p in outside.rglob("*") if p.is_file() and p.suffix != ".zip"]
            assert written == []
    return ended
