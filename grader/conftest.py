"""``pytest grader/``: the student's own check. Options, one shared grading, and the scoreboard at the end."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from grader.contract import PARTS, check
from grader.exports import terminal
from grader.exports.escaping import log_safe
from grader.isolation import SandboxError, available_isolation
from grader.outcome import Outcome, Report, Status
from grader.sandbox import nursery
from grader.settings import ASSIGNMENT, PUBLIC_SPEC, SPEC_VARIABLE, UsageProblem, open_grading

if TYPE_CHECKING:
    from grader.grading import Grading

_GRADING = pytest.StashKey["Grading"]()
GRADER = Path(__file__).parent
_BESIDE_THE_RUN = 1200.0  # seconds: start, evaluation and pictures, on a slow machine
_GRADER_ERROR = 3  # exit status, as `python -m grader grade` has it


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("backdoor-lab", "Backdoor Lab")
    group.addoption(
        "--submission", type=Path, default=ASSIGNMENT, help="folder with the submission (default: assignment)"
    )
    group.addoption(
        "--spec", type=Path, default=Path(os.environ.get(SPEC_VARIABLE, PUBLIC_SPEC)),
        help=f"spec file (default: ${SPEC_VARIABLE}, else the public one)",
    )  # fmt: skip
    group.addoption("--report", type=Path, help="write report.json and the pictures to this folder")
    group.addoption("--lang", choices=("en", "zh"), default="en", help="language of the feedback")
    group.addoption("--device", default="cpu", help="where --in-process runs your code, e.g. cuda")
    group.addoption(
        "--in-process", action="store_true",
        help="run your code in this process, for a debugger; without any isolation, and not a grade",
    )  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """Let the sandbox import torch while this process does the same."""
    if not (config.getoption("--in-process") or config.option.collectonly or config.option.help):
        with contextlib.suppress(SandboxError):  # it will be asked again, and said, when it is needed
            nursery(available_isolation()[0])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In the contract's order, whatever the files are called; what is no check, the leaderboard, comes last.

    pytest-timeout stands behind the grader's own limits, so it comes later than the longest of them.
    """
    order = {
        check.id: number for number, check in enumerate(check for part in PARTS for check in part.checks)
    }

    def place(item: pytest.Item) -> int:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        return order.get(parameters.get("check_id", ""), len(order))

    items.sort(key=place)
    if config.getoption("timeout", None) is None and (seconds := _beyond_all_limits(config)) is not None:
        for item in items:
            if item.path.is_relative_to(GRADER):
                item.add_marker(pytest.mark.timeout(seconds))


def _beyond_all_limits(config: pytest.Config) -> float | None:
    """Seconds in which a check ends by itself, whatever the submission does; None under a spec that is none."""
    from grader.spec import SpecError, load_spec  # imports torch

    try:
        return load_spec(config.getoption("--spec")).limits.run_seconds + _BESIDE_THE_RUN
    except SpecError:  # the grading will say so
        return None


@pytest.fixture(scope="session")
def grading(request: pytest.FixtureRequest) -> Iterator[Grading]:
    """The grading that all checks share: each check runs once, and only those that are asked for."""
    option = request.config.getoption
    try:
        grading = open_grading(
            option("--submission"), option("--spec"), in_process=option("--in-process"), device=option("--device"),
            language=option("--lang"), report_directory=option("--report"),
        )  # fmt: skip
    except UsageProblem as problem:
        pytest.exit(str(problem), returncode=pytest.ExitCode.USAGE_ERROR)
    request.config.stash[_GRADING] = grading
    asked = [check(str(item.callspec.params["check_id"])) for item in _checks(request.session)]
    grading.warm_up({c.part for c in asked}, outcomes=any(c.is_outcome for c in asked))
    yield grading
    grading.close()


def _checks(session: pytest.Session) -> list[pytest.Function]:
    return [i for i in session.items if isinstance(i, pytest.Function) and "check_id" in i.fixturenames]


def settle(outcome: Outcome) -> None:
    """Turn an outcome into the test's result."""
    text = log_safe(f"{outcome.got} {outcome.hint}".strip())
    if outcome.status is Status.SKIPPED:
        pytest.skip(text)
    if outcome.status is Status.ERROR:
        pytest.exit(f"the grader itself failed: {text}", returncode=_GRADER_ERROR)
    if outcome.status is Status.FAILED:
        pytest.fail(text, pytrace=False)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the scoreboard of what ran."""
    grading = config.stash.get(_GRADING, None)
    if grading is None:
        return
    report = grading.report_finished()
    terminalreporter.ensure_newline()
    if not report.checks and report.challenge is None:
        # The board would be empty: -k challenge by somebody who takes no part.
        for skipped in terminalreporter.stats.get("skipped", []):
            terminalreporter.write_line(f"\n{skipped.longrepr[2].removeprefix('Skipped: ')}")
        return
    console = Console(file=terminalreporter._tw._file, highlight=False)
    terminal.show(report, console)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write the report; a bonus part that failed does not fail the run."""
    grading = session.config.stash.get(_GRADING, None)
    if grading is None:
        return
    report = grading.report_finished()
    if (directory := session.config.getoption("--report")) is not None and not grading.complete:
        print(f"\nNo report in {directory}: not every check of the part ran.")
    elif directory is not None:
        from grader.report_files import write_report  # imports torch: not before it is needed

        try:
            write_report(grading, report, directory)
        except OSError as error:  # the scoreboard, which comes after this, must not be lost with it
            print(f"\nNo report in {directory}: {error}")
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
            return
    if exitstatus == pytest.ExitCode.TESTS_FAILED and not _core_failed(report):
        session.exitstatus = pytest.ExitCode.OK


def _core_failed(report: Report) -> bool:
    core = {part.name for part in PARTS if part.core}
    return any(c.part in core and c.status is not Status.PASSED for c in report.checks)
