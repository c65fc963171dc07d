"""``python -m grader batch``: its options, and the order in which things are done."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from grader import messages
from grader.settings import PUBLIC_SPEC, SPEC_VARIABLE, UsageProblem

if TYPE_CHECKING:
    from grader.batch.engines import Engine
    from grader.batch.intake import Class
    from grader.batch.ledger import Ledger
    from grader.batch.lists import Override, Student
    from grader.batch.results import Line
    from grader.batch.run import Task
    from grader.batch.unit import Settings
    from grader.spec import Spec

DONE, UNFINISHED, USAGE, GRADER_ERROR = 0, 1, 2, 3
_DESCRIPTION = """Grade every submission in a folder: folders, zip files, or git checkouts at a recorded commit.
Killed at any moment and started again, it goes on where it was. Exit status: 0 when every submission has its record;
1 when some are missing (repair what it says, if it says anything, and start it again); 2 for bad usage; 3 when every
submission has its record but the grader failed on some, which were set aside for a person."""
_REPAIR = "Repair that and start the same command again; what is graded is kept."
_STOPPED = "Stopped. What is graded is kept; start the same command again to go on."


def add_batch(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser of ``python -m grader``."""
    batch = commands.add_parser("batch", help="grade a class of submissions", description=_DESCRIPTION)
    batch.add_argument("submissions", type=Path, metavar="SUBMISSIONS", help="folder with one entry a login")
    batch.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="results: a new or empty folder, or a batch's, which it resumes",
    )
    batch.add_argument(
        "--spec", type=Path, metavar="FILE", default=Path(os.environ.get(SPEC_VARIABLE, PUBLIC_SPEC)),
        help=f"spec file (default: ${SPEC_VARIABLE}, else the public one)",
    )  # fmt: skip
    batch.add_argument(
        "--jobs",
        type=_positive,
        metavar="N",
        help="grades at a time, without --dask (default: as many as cores, unless memory is for fewer)",
    )
    batch.add_argument(
        "--dask", metavar="ADDRESS", help="grade on this Dask scheduler's workers, e.g. tcp://host:8786"
    )
    batch.add_argument(
        "--roster", type=Path, metavar="FILE", help="CSV with the columns login, student_id, name"
    )
    batch.add_argument(
        "--commits", type=Path, metavar="FILE",
        help="CSV with the columns login, commit: what the server had at the deadline (dates in git can be forged)",
    )  # fmt: skip
    batch.add_argument(
        "--overrides", type=Path, metavar="FILE",
        help="TOML, a table a login: score or bonus, and a reason; shown beside the grader's score",
    )  # fmt: skip
    batch.add_argument(
        "--login-prefix", default="", metavar="TEXT", help="what precedes the login in every name"
    )
    batch.add_argument(
        "--compare", type=Path, metavar="OLD_DIR", help="tell what changed against these results"
    )
    batch.add_argument(
        "--retry-set-aside", action="store_true", help="grade once more what was set aside for a grader error"
    )
    batch.add_argument(
        "--allow-weaker-isolation", action="store_true",
        help="grade without bubblewrap too: then student code can read whatever you can read",
    )  # fmt: skip
    batch.add_argument(
        "--no-pictures", action="store_true", help="draw none: a second or so less for each grade"
    )
    batch.add_argument("--lang", choices=messages.LANGUAGES, default="en", help="language of the feedback")
    batch.set_defaults(run=_batch)


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number, at least 1, not {text!r}")
    return number


def _batch(options: argparse.Namespace) -> int:
    errors = Console(stderr=True, highlight=False)
    try:
        return _Batch(options, errors).run()
    except UsageProblem as problem:
        errors.print(f"python -m grader batch: {problem}", markup=False, soft_wrap=True)
        return USAGE
    except KeyboardInterrupt:
        errors.print(_STOPPED)
        return UNFINISHED
    finally:
        # it was started early, and may still be importing for grades that nobody wants now
        if (warm := sys.modules.get("grader.batch.warm")) is not None:
            warm.stop()


@dataclass(frozen=True)
class _Lists:
    roster: Mapping[str, Student] | None
    commits: Mapping[str, str] | None
    overrides: Mapping[str, Override]


class _Batch:
    """One run of the command.

    Raises:
        UsageProblem: the options cannot be used as they are.
    """

    def __init__(self, options: argparse.Namespace, errors: Console) -> None:
        self.options = options
        self.errors = errors
        self.out: Path = options.out.absolute()

    def run(self) -> int:
        from grader.batch.changes import read_reports
        from grader.batch.intake import take_class
        from grader.batch.run import tasks

        self._check_folders()
        lists = self._read_lists()
        earlier = read_reports(self.options.compare) if self.options.compare else None
        class_ = take_class(
            self.options.submissions, commits=lists.commits, login_prefix=self.options.login_prefix
        )
        self._check_logins(class_, lists)
        spec, settings = self._settings()
        ledger = self._open_ledger(spec, settings)
        try:
            expected = tasks(class_.entries, settings, spec.seed)
            if self.options.retry_set_aside:
                self._forget_set_aside(expected, ledger)
            status = self._grade(expected, ledger, settings)
            try:
                written = self._write_results(class_, expected, ledger, lists, spec, settings, earlier)
            except OSError as error:
                self.errors.print(
                    f"{self.out}: the results cannot be written: {error.strerror or error}. {_REPAIR}",
                    markup=False,
                )
                return UNFINISHED
            return max(status, written)
        finally:
            ledger.close()

    @cached_property
    def _jobs(self) -> int:
        """Asked once: what memory is free changes."""
        from grader.batch.machine import usable_jobs

        return self.options.jobs or usable_jobs()

    def _check_folders(self) -> None:
        from grader.batch.folder import check_folder

        submissions: Path = self.options.submissions.resolve()
        out = self.out.resolve()
        if not submissions.is_dir():
            raise UsageProblem(f"{self.options.submissions}: no such folder")
        if out == submissions or submissions in out.parents or out in submissions.parents:
            raise UsageProblem("--out must lie outside SUBMISSIONS (and not around it)")
        if self.options.compare and self.options.compare.resolve() == out:
            raise UsageProblem("--compare names the results of another batch, not --out itself")
        check_folder(self.out)
        if self.options.dask and importlib.util.find_spec("distributed") is None:
            raise UsageProblem("--dask: Dask is not installed: pip install -e '.[class]'")

    def _read_lists(self) -> _Lists:
        from grader.batch.lists import read_commits, read_overrides, read_roster

        options = self.options
        return _Lists(
            read_roster(options.roster) if options.roster else None,
            read_commits(options.commits) if options.commits else None,
            read_overrides(options.overrides) if options.overrides else {},
        )

    def _settings(self) -> tuple[Spec, Settings]:
        from grader.batch.ledger import grader_hash
        from grader.batch.unit import Settings
        from grader.batch.warm import start_early
        from grader.isolation import available_isolation

        isolation, why = available_isolation()
        if isolation != "bubblewrap" and not self.options.dask:
            if not self.options.allow_weaker_isolation:
                raise UsageProblem(
                    f"{why}. Without bubblewrap student code can read whatever you can read, so nothing is graded; "
                    "--allow-weaker-isolation grades all the same"
                )
            self.errors.print(
                f"Warning: no bubblewrap: {why}. Student code can read what you can read.", style="red"
            )
        if not self.options.dask:
            # it imports torch while this process does
            start_early(self._jobs, pictures=not self.options.no_pictures)
        from grader.spec import SpecError, load_spec

        try:
            spec = load_spec(self.options.spec)
            # with its line ends as they are: its hash is of the bytes
            text = self.options.spec.read_bytes().decode("utf-8")
        except SpecError as error:
            raise UsageProblem(str(error)) from error
        limits = spec.limits
        # Nothing in a grading that keeps to its own limits takes longer than this.
        training = 2 * limits.run_seconds + spec.challenge.training_seconds
        seconds = limits.start_seconds + limits.load_seconds + training + 120
        return spec, Settings(
            spec=text,
            language=self.options.lang,
            isolation="any" if self.options.allow_weaker_isolation else "bubblewrap",
            grader=grader_hash(),
            seconds=seconds,
            pictures=not self.options.no_pictures,
        )

    def _open_ledger(self, spec: Spec, settings: Settings) -> Ledger:
        """The ledger of ``--out``, which belongs to one grader, spec, language and isolation."""
        from grader.batch.folder import open_ledger

        identity = {
            "grader": settings.grader,
            "spec": f"{spec.name} {spec.hash}",
            "language": settings.language,
            "isolation": settings.isolation,
            "pictures": settings.pictures,
        }
        return open_ledger(self.out, identity)

    def _check_logins(self, class_: Class, lists: _Lists) -> None:
        """A list that names nobody here is a mistake that would cost a grade."""
        known = {entry.login.casefold() for entry in class_.entries} | set(lists.roster or ())
        for name, logins in (("--overrides", lists.overrides), ("--commits", lists.commits or {})):
            unknown = sorted(set(logins) - known)
            if unknown and (name == "--overrides" or lists.roster is None):
                raise UsageProblem(
                    f"{name}: no submission and no line of the roster for {', '.join(unknown)}"
                )
        if not class_.entries:
            raise UsageProblem(f"{self.options.submissions}: no submissions in it (folders or zip files)")

    def _forget_set_aside(self, expected: Mapping[str, Task], ledger: Ledger) -> None:
        from grader.batch.ledger import SET_ASIDE

        for key in expected:
            record = ledger.read(key)
            if record is not None and record.status == SET_ASIDE:
                ledger.forget(key)

    def _grade(self, expected: Mapping[str, Task], ledger: Ledger, settings: Settings) -> int:
        from grader.batch.engines import DaskEngine, EngineError, LocalEngine
        from grader.batch.progress import ClassProgress
        from grader.batch.run import BatchStopped, grade_class

        def open_engine() -> Engine:
            if self.options.dask:
                return DaskEngine(self.options.dask)
            return LocalEngine(self._jobs, ledger.scratch, pictures=settings.pictures)

        try:
            with ClassProgress(expected, self.errors) as progress:
                grade_class(expected, ledger, open_engine, settings, progress.told)
        except EngineError as error:
            self.errors.print(f"python -m grader batch: {error}", markup=False)
            return UNFINISHED
        except BatchStopped as stopped:
            self.errors.print(f"Stopped: {stopped}", markup=False, style="red")
            return UNFINISHED
        except OSError as error:  # a full disk, say: the ledger cannot keep what was graded
            self.errors.print(f"Stopped: {error}. {_REPAIR}", markup=False, style="red")
            return UNFINISHED
        except KeyboardInterrupt:
            self.errors.print(_STOPPED)
            return UNFINISHED
        return DONE

    def _write_results(
        self,
        class_: Class,
        expected: Mapping[str, Task],
        ledger: Ledger,
        lists: _Lists,
        spec: Spec,
        settings: Settings,
        earlier: Any,
    ) -> int:
        from grader.batch import changes, results, summary
        from grader.batch.ledger import SET_ASIDE
        from grader.batch.run import reconcile
        from grader.exports import ExportError
        from grader.exports.class_page import render_class
        from grader.outcome import write_whole

        lines = results.class_lines(expected.values(), ledger, roster=lists.roster, overrides=lists.overrides)
        write_whole(self.out / "grades.csv", results.grades_csv(lines))
        self._withdraw(lines, ledger)
        for line in lines:
            try:
                results.publish(line, ledger, self.out)
            except (OSError, ExportError) as error:
                # one login's, and told once more at the end: it is missing
                self.errors.print(f"{line.login}: its report cannot be written: {error}", markup=False)
        missing = reconcile(expected, ledger, self.out)
        changed = None
        if earlier is not None:
            same = changes.grader_of(self.options.compare) == settings.grader
            changed = changes.compare(earlier, lines, same_grader=same)
            write_whole(self.out / "changes.csv", changes.to_csv(changed))
        else:  # one of an earlier --compare is not about these results
            (self.out / "changes.csv").unlink(missing_ok=True)
        content = summary.summarise(
            lines, class_, settings, spec=(spec.name, spec.hash), changes=changed, missing=missing
        )
        write_whole(self.out / "summary.json", json.dumps(content, indent=2, ensure_ascii=False) + "\n")
        rows = [results.page_row(line) for line in lines]
        write_whole(self.out / "class.html", render_class(content, rows, settings.language))
        summary.show(content, Console(highlight=False))
        if missing:
            return UNFINISHED
        return GRADER_ERROR if any(line.status == SET_ASIDE for line in lines) else DONE

    def _withdraw(self, lines: Sequence[Line], ledger: Ledger) -> None:
        """Whom the class no longer has must not be among its results, for what reads the folders after this."""
        from grader.batch.folder import withdraw_others

        def failed(login: str, error: OSError) -> None:
            self.errors.print(f"{login}: its earlier report cannot be removed: {error}", markup=False)

        if gone := withdraw_others(lines, ledger, self.out, failed):
            names = ", ".join(gone)
            self.errors.print(
                f"No longer among the submissions, so their reports are removed: {names}", markup=False
            )
