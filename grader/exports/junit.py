"""JUnit XML, read by most CI services: one suite a part, one case a check; a grader error stays an error."""

from __future__ import annotations

from xml.etree import ElementTree

from grader.exports import require_isolated, texts
from grader.exports.escaping import cut, one_line, visible
from grader.outcome import Outcome, Report, Status

_LONGEST = 5000


def render(report: Report) -> str:
    """The report as a JUnit XML document.

    Raises:
        ExportError: the isolation is ``none``.
    """
    require_isolated(report)
    counts = _counts(report.checks)
    root = ElementTree.Element(
        "testsuites", {"name": "backdoor-lab", "time": f"{report.seconds:.2f}", **counts}
    )
    for part in texts.parts(report):
        suite = ElementTree.SubElement(root, "testsuite", {"name": part.name, **_counts(part.checks)})
        properties = ElementTree.SubElement(suite, "properties")
        for name, value in (
            ("score", "" if report.score is None else report.score),
            ("max_score", report.max_score),
            ("spec", visible(report.spec)),
            ("submission_hash", visible(report.submission_hash)),
            ("isolation", report.isolation),
        ):
            ElementTree.SubElement(properties, "property", name=name, value=str(value))
        for outcome in part.checks:
            _case(suite, outcome, report.language)
    ElementTree.indent(root)
    # Written here, since ElementTree would name the machine's encoding instead.
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _counts(outcomes: tuple[Outcome, ...]) -> dict[str, str]:
    def count(status: Status) -> str:
        return str(sum(outcome.status is status for outcome in outcomes))

    return {
        "tests": str(len(outcomes)),
        "failures": count(Status.FAILED),
        "errors": count(Status.ERROR),
        "skipped": count(Status.SKIPPED),
    }


def _case(suite: ElementTree.Element, outcome: Outcome, language: str) -> None:
    classname, _, name = outcome.id.rpartition(".")
    case = ElementTree.SubElement(suite, "testcase", classname=classname, name=name)
    if outcome.location is not None:
        case.set("file", visible(outcome.location.file))
        case.set("line", str(outcome.location.line))
    if outcome.status is Status.PASSED:
        return
    tag = {Status.FAILED: "failure", Status.SKIPPED: "skipped", Status.ERROR: "error"}[outcome.status]
    element = ElementTree.SubElement(case, tag, message=one_line(outcome.got))
    if outcome.status is not Status.SKIPPED:
        lines = (f"{label}: {visible(text)}" for label, text in texts.four_lines(outcome, language))
        element.text = cut("\n".join(lines), _LONGEST)
