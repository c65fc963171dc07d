"""The optional leaderboard entry of a submission: read, run after the checks, and put into words.

Whatever happens here, the score is what it would be without it: a fault of the entry or of the grader is told in the
result's text and nowhere else. An entry always runs under a spec that is no secret: the leaderboard is the same for
all, its numbers are shown, and a student's code could tell by them whatever it sees.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from typing import Any

from grader import messages
from grader.calls import Finding
from grader.challenge import Entry, read_entry
from grader.contract import check
from grader.outcome import ChallengeResult
from grader.parts.invisible_trigger_challenge import Reached, run_entry, spec_for
from grader.parts.run import PartRun
from grader.spec import Spec
from grader.submission import Source

NEEDS = check("invisible_trigger.outcome.asr").requires
"""The checks that must have passed: what the training relies on."""


def enter(
    source: Source,
    spec: Spec,
    language: str,
    *,
    lacking: Callable[[], str | None],
    start: Callable[[Spec], PartRun],
) -> ChallengeResult:
    """Run one entry.

    Args:
        source: of ``challenge.toml``.
        spec: not a hidden one.
        lacking: asks for the checks in ``NEEDS``; the first that did not pass, or None.
        start: a run of part 1 in a fresh step server, under another spec.
    """
    entry: Entry | None = None

    def result(status: str, text_key: str, values: Mapping[str, Any]) -> ChallengeResult:
        text = messages.challenge(text_key, values, language)
        measured = {name: values.get(name) for name in ("asr", "acc_drop")}
        if entry is None:
            return ChallengeResult(status, text, **measured)
        return ChallengeResult(status, text, entry.grey_levels, entry.attack.steps, **measured)

    try:
        if source.problem is not None:
            raise Finding(source.problem, line=None, **source.values)
        entry = read_entry(
            source.content, most_levels=spec.challenge.max_grey_levels, most_steps=spec.challenge.max_steps
        )
        if (needed := lacking()) is not None:
            raise Finding("functions_first", checks=[needed])
        reached = _run(start(spec_for(spec, entry)))
        values = {
            "levels": entry.grey_levels, "steps": entry.attack.steps, "asr": reached.asr, "acc_drop": reached.acc_drop,
            "least_asr": spec.challenge.least_asr, "points": 100 * reached.acc_drop,
            "most_points": 100 * spec.challenge.largest_acc_drop,
        }  # fmt: skip
        status = "ranked" if reached.is_goal else "missed"
        return result(status, status, values)
    except Finding as finding:
        return result("unusable", finding.key, finding.values)
    except Exception as error:  # noqa: BLE001 the grader's own fault must not count against the student
        traceback.print_exc()
        return result("error", "error", {"message": f"{type(error).__name__}: {error}"})


def _run(run: PartRun) -> Reached:
    try:
        return run_entry(run)
    finally:
        run.student.close()
