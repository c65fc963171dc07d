"""What ``--report DIR`` writes: ``report.json``, the page ``report.html``, and the pictures drawn while grading."""

from __future__ import annotations

from pathlib import Path

from grader.exports.html import render_page
from grader.exports.playground import Playground
from grader.grading import Grading
from grader.lab.data import load_mnist, to_float
from grader.outcome import Report, write_whole
from grader.parts.invisible_trigger_attack import Attack, one_of_each_digit


def write_report(grading: Grading, report: Report, directory: Path) -> None:
    """Write the files, each whole or not at all.

    A run inside the grader's own process (``--in-process``) is not a grade, so it gets no page. Under a hidden spec the
    page has no playground, which would show the target and the trigger.
    """
    report.write(directory / "report.json")
    if report.isolation == "none":
        return
    attack = None if grading.spec.hidden else grading.attack
    sources = {source.path.name: source.text for source in grading.submission.sources.values()}
    page = render_page(
        report,
        directory,
        None if attack is None else playground(attack, grading),
        report.language,
        sources=sources,
    )
    write_whole(directory / "report.html", page)


def playground(attack: Attack, grading: Grading) -> Playground:
    """The student's own backdoored model and trigger, with one test image of each digit."""
    test = load_mnist("test", grey_levels=True)
    shown = one_of_each_digit(test)
    spec = grading.spec.invisible_trigger
    return Playground(
        weights={name: p.detach().contiguous().numpy() for name, p in attack.model.named_parameters()},
        delta=attack.delta.numpy(),
        images=to_float(test.x[shown]).numpy(),
        labels=[int(label) for label in test.y[shown]],
        target=spec.target,
        epsilon=spec.epsilon,
    )
