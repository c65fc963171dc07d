"""The results folder of a batch: whether it can be one, whose results it has, and what of earlier ones goes.

A folder is taken that is new or empty, or that a batch has made: nothing that somebody else put there is written over.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from grader.batch.intake import RESERVED
from grader.batch.ledger import Ledger, LedgerBusy
from grader.batch.results import Line, has_results, withdraw
from grader.outcome import write_whole
from grader.settings import UsageProblem

LEDGER = ".ledger"
_IDENTITY, _PUBLISHED = "identity.json", "published.json"
# What the results belong to -> as an instructor knows it.
_NAMES = {
    "spec": "spec (--spec)",
    "language": "language (--lang)",
    "isolation": "isolation (--allow-weaker-isolation)",
    "pictures": "choice of pictures (--no-pictures)",
}


def check_folder(out: Path) -> None:
    """Raise UsageProblem where no batch may write its results to this folder; nothing is changed."""
    try:
        if not out.exists():
            return
        if not out.is_dir():
            raise UsageProblem(f"--out {out}: this is no folder; name a new one")
        # hidden files are the system's (.DS_Store), and a batch writes none but its own
        if not (out / LEDGER).is_dir() and any(not path.name.startswith(".") for path in out.iterdir()):
            raise UsageProblem(
                f"--out {out}: there are files in it, and no batch made it; name a new or an empty folder, so that "
                "nothing of yours is written over"
            )
        for name in sorted(RESERVED):
            if (out / name).is_dir():
                raise UsageProblem(f"{out / name}: a folder where the results have a file; move it away")
    except OSError as error:
        raise _unusable(out, error) from error


def open_ledger(out: Path, identity: Mapping[str, object]) -> Ledger:
    """The ledger of the folder, which is made where it is not there.

    Args:
        identity: what all results in one folder have in common.

    Raises:
        UsageProblem: it cannot be used, another batch is at work there, or its results are of another identity.
    """
    try:
        if not out.exists():
            out.mkdir(mode=0o700, parents=True)  # grades are nobody else's business
        ledger = Ledger(out / LEDGER)
    except LedgerBusy:
        raise UsageProblem(f"{out}: another batch is at work there") from None
    except OSError as error:
        raise _unusable(out, error) from error
    try:
        _check_identity(out, ledger.directory / _IDENTITY, identity)
        write_whole(ledger.directory / _IDENTITY, json.dumps(identity) + "\n")
    except OSError as error:
        ledger.close()
        raise _unusable(out, error) from error
    except UsageProblem:
        ledger.close()
        raise
    return ledger


def _check_identity(out: Path, path: Path, identity: Mapping[str, object]) -> None:
    if not path.exists():
        return
    try:
        before = json.loads(path.read_bytes())
        if not isinstance(before, dict):
            raise ValueError("no JSON object")
    except ValueError as error:
        raise UsageProblem(
            f"{path} is damaged ({error}), so nobody can tell which grader and spec the results there are of. "
            "Give a new folder with --out"
        ) from error
    differing = [_NAMES.get(name, name) for name, value in identity.items() if before.get(name) != value]
    if differing:
        raise UsageProblem(
            f"{out} has the results of another {', '.join(differing)}. Give a new folder with --out, and "
            f"--compare {out} to see what changes"
        )


def _unusable(out: Path, error: OSError) -> UsageProblem:
    return UsageProblem(f"--out {out}: no results can be kept there: {error.strerror or error}")


def withdraw_others(
    lines: Iterable[Line], ledger: Ledger, out: Path, failed: Callable[[str, OSError], None]
) -> list[str]:
    """Remove what earlier batches wrote here for logins that the class no longer has; returns these logins.

    Only a login that is in the ledger's own list is touched, and only the files that a batch writes: a folder that
    somebody made by hand is not in it. The list has the new logins before any of them is written, whatever is killed.
    """
    path = ledger.directory / _PUBLISHED
    current = {line.login for line in lines if has_results(line)}
    known = {line.login for line in lines}  # publish itself clears the folder of one without a report
    earlier = _published(path)
    gone, kept = [], set()
    for login in sorted(earlier - known):
        try:
            withdraw(out / login)
            gone.append(login)
        except OSError as error:
            kept.add(login)  # to be tried again
            failed(login, error)
    write_whole(path, json.dumps(sorted(current | (earlier & known) | kept), ensure_ascii=False) + "\n")
    return gone


def _published(path: Path) -> set[str]:
    try:
        return {login for login in json.loads(path.read_bytes()) if Path(login).name == login}
    except (OSError, ValueError, TypeError):
        return set()  # none yet; or damaged, and then it is safer to leave everything where it is
