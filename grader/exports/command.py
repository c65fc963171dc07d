"""``python -m grader export``: a report that was written before, for one of the places that read results."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from grader.contract import check
from grader.exports import ExportError, NotGraded
from grader.outcome import Report, write_whole

DONE, USAGE, GRADER_ERROR = 0, 2, 3
LARGEST_REPORT = 16 * 2**20  # bytes; a real one has about 20 KiB
# Where the reporter's step finds the ids of its runners, beside the results of each.
RUNNERS_VARIABLE = "BACKDOOR_LAB_RUNNERS"
_DESCRIPTION = """Turn a report.json (from --report of `pytest grader/` or `python -m grader grade`, or from a batch)
into what another place reads. Exit status: 0 when it was written; 2 when the report cannot be used, or must not be
given to that reader; 3 when the grader itself had failed and the reader has no form for that (a zero would be
wrong)."""


class ReportProblem(Exception):
    """The file is no report that this grader can use; the message says why and what to do."""


def read_report(path: Path) -> Report:
    """Read a ``report.json`` back.

    Raises:
        ReportProblem: no such file, not JSON, another schema, damaged, or made by another version's contract.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_REPORT + 1)
        if len(content) > LARGEST_REPORT:
            raise ReportProblem(f"{path}: larger than {LARGEST_REPORT // 2**20} MiB, so this is no report")
        data = json.loads(content)
    except OSError as error:
        raise ReportProblem(
            f"{path}: cannot be read ({error.strerror}); `python -m grader grade --report DIR` writes it"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ReportProblem(
            f"{path}: not JSON ({error}); was it cut off? Grade again to replace it"
        ) from error
    if not isinstance(data, dict):
        raise ReportProblem(f"{path}: not a report but a JSON {type(data).__name__}")
    try:
        report = Report.from_json(data)
    except ValueError as error:
        raise ReportProblem(f"{path}: {error}") from error
    for outcome in report.checks:
        try:
            check(outcome.id)
        except KeyError as error:
            raise ReportProblem(
                f"{path}: made by another version of the grader ({report.grader_version}): {error.args[0]}. "
                "Grade again with this one"
            ) from error
    return report


def _as_json(data: Mapping[str, Any]) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _terminal(report: Report, options: argparse.Namespace) -> str:
    from grader.exports import terminal

    return terminal.render(report)


def _junit(report: Report, options: argparse.Namespace) -> str:
    from grader.exports import junit

    return junit.render(report)


def _summary(report: Report, options: argparse.Namespace) -> str:
    from grader.exports import actions

    return actions.summary(
        report, links=dict(options.link), advisory=not options.authoritative, limit=options.limit
    )


def _annotations(report: Report, options: argparse.Namespace) -> str:
    from grader.exports import actions

    return "".join(f"{line}\n" for line in actions.annotate(report, directory=options.directory))


def _commit_status(report: Report, options: argparse.Namespace) -> str:
    from grader.exports import actions

    return _as_json(actions.commit_status(report))


def _reporter(report: Report, options: argparse.Namespace) -> str:
    from grader.exports import reporter

    variables = {RUNNERS_VARIABLE: reporter.runners(report), **reporter.environment(report)}
    return "".join(f"{name}={value}\n" for name, value in variables.items())


def _classroom50(report: Report, options: argparse.Namespace) -> str:
    from grader.exports import classroom50

    if options.submitted is None:
        raise ExportError("Classroom 50 wants to know when the graded commit was made: --submitted TIME")
    return _as_json(classroom50.result(report, classroom50.identity(os.environ, submitted=options.submitted)))


def _classroom50_release(report: Report, options: argparse.Namespace) -> str:
    from grader.exports import classroom50

    return classroom50.release_body(report)


def _gradescope(report: Report, options: argparse.Namespace) -> str:
    from grader.exports import gradescope

    return _as_json(gradescope.results(report))


def _autolab(report: Report, options: argparse.Namespace) -> str:
    from grader.exports import autolab

    return autolab.last_line(report) + "\n"


def _submitty(report: Report, options: argparse.Namespace) -> str:
    from grader.exports import submitty

    return _as_json(submitty.validation_results(report))


def _html(report: Report, options: argparse.Namespace) -> str:
    from grader.exports import html

    return html.render_page(report, options.report[0].parent if report.pictures else None)


FORMATS: Mapping[str, tuple[Callable[[Report, argparse.Namespace], str], str]] = {
    "terminal": (_terminal, "the scoreboard as plain text"),
    "html": (_html, "the page, without the playground; the pictures lie beside the report"),
    "junit": (_junit, "JUnit XML"),
    "actions-summary": (_summary, "Markdown, for $GITHUB_STEP_SUMMARY for example"),
    "actions-annotations": (_annotations, "workflow commands that mark the lines at fault: print them"),
    "commit-status": (_commit_status, "the status of a commit, for GitHub's API"),
    "reporter": (_reporter, "variables of autograding-grading-reporter, for $GITHUB_ENV"),
    "classroom50": (_classroom50, "Classroom 50's result.json; who was graded comes from its environment"),
    "classroom50-release": (_classroom50_release, "Classroom 50's release-body.md"),
    "gradescope": (_gradescope, "Gradescope's results.json"),
    "autolab": (_autolab, "the last line of an Autolab autograder's output"),
    "submitty": (_submitty, "a Submitty validator's validation_results.json"),
}
TABLE = "csv"


def add_export(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser of ``python -m grader``."""
    formats = {**{name: what for name, (_, what) in FORMATS.items()}, TABLE: "a row a report"}
    export = commands.add_parser(
        "export",
        help="turn a report into what GitHub, Classroom 50, Gradescope and others read",
        description=_DESCRIPTION,
        epilog="formats: " + "; ".join(f"{name} ({what})" for name, what in formats.items()),
    )
    export.add_argument(
        "--report", type=Path, required=True, nargs="+", metavar="FILE", help="report.json (csv: any number)"
    )
    export.add_argument("--to", required=True, choices=list(formats), metavar="FORMAT", help="see below")
    export.add_argument("--out", type=Path, metavar="FILE", help="write it there (default: print it)")
    export.add_argument(
        "--link", type=_link, action="append", default=[], metavar="LABEL=URL",
        help="actions-summary: a link at the end, e.g. to the pictures",
    )  # fmt: skip
    export.add_argument(
        "--limit", type=int, default=2**20, metavar="BYTES",
        help="actions-summary: cut it there (default: 1 MiB, the limit of a step's summary)",
    )  # fmt: skip
    export.add_argument(
        "--authoritative", action="store_true", help="actions-summary: do not call it a self-check"
    )
    export.add_argument(
        "--directory", default="assignment", metavar="DIR",
        help="actions-annotations: where the submission lies in the checkout (default: assignment)",
    )  # fmt: skip
    export.add_argument(
        "--submitted", type=_moment, metavar="TIME",
        help="classroom50: when the graded commit was made (git log -1 --format=%%cI)",
    )  # fmt: skip
    export.set_defaults(run=_export)


def _link(text: str) -> tuple[str, str]:
    label, separator, address = text.partition("=")
    if not separator or not label:
        raise argparse.ArgumentTypeError(f"not LABEL=URL: {text!r}")
    return label, address


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"not an ISO 8601 time: {text!r}") from error
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"the time needs its zone, e.g. {text}+00:00")
    return moment


def _export(options: argparse.Namespace) -> int:
    try:
        text = render([read_report(path) for path in options.report], options)
        if options.out is not None:
            write_whole(options.out, text)
        else:
            sys.stdout.buffer.write(text.encode("utf-8"))  # whatever the terminal's encoding
            sys.stdout.buffer.flush()
    except NotGraded as error:
        print(f"python -m grader export: {error}", file=sys.stderr)
        return GRADER_ERROR
    except (ReportProblem, ExportError, ValueError) as error:
        print(f"python -m grader export: {error}", file=sys.stderr)
        return USAGE
    except OSError as error:
        print(f"python -m grader export: {options.out or 'output'}: {error.strerror}", file=sys.stderr)
        return USAGE
    return DONE


def render(reports: Sequence[Report], options: argparse.Namespace) -> str:
    """The text of the chosen format.

    Raises:
        ExportError, ValueError: as the export says.
    """
    if options.to == TABLE:
        from grader.exports import table

        return table.to_csv(reports)
    if len(reports) != 1:
        raise ExportError(f"{options.to} takes one report, not {len(reports)}; csv takes any number")
    function, _ = FORMATS[options.to]
    return function(reports[0], options)
