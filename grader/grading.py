"""Grades one submission: runs the contract's checks, each once and only when asked for, and makes the Report.

``pytest grader/`` asks check by check, ``python -m grader grade`` asks for all of them; both go through here, so both
give the same points.
"""

from __future__ import annotations

import secrets
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from grader import __version__, leaderboard, messages, secrecy
from grader.calls import Finding
from grader.contract import INVISIBLE_TRIGGER, PARTS, Check, Part, check, max_bonus, max_score, part
from grader.in_process import LocalServer
from grader.isolation import Isolation, available_isolation
from grader.lockdown import Limits
from grader.outcome import ChallengeResult, Location, Outcome, Reason, Report, Status
from grader.parts import (
    activation_clustering,
    activation_clustering_outcome,
    clean_label_loop,
    clean_label_outcome,
    fine_pruning,
    fine_pruning_outcome,
    invisible_trigger,
    invisible_trigger_attack,
    invisible_trigger_update,  # noqa: F401 registers its checks
)
from grader.parts.run import CheckFunction, PartRun, Progress, ResourceAbsent
from grader.sandbox import ChildServer, StepServer
from grader.spec import Spec, load_spec
from grader.student import StudentModule
from grader.submission import Submission, read_submission

CHECKS: Mapping[str, CheckFunction] = {
    **invisible_trigger.CHECKS,
    **invisible_trigger_attack.CHECKS,
    **clean_label_loop.CHECKS,
    **clean_label_outcome.CHECKS,
    **fine_pruning.CHECKS,
    **fine_pruning_outcome.CHECKS,
    **activation_clustering.CHECKS,
    **activation_clustering_outcome.CHECKS,
}
PREPARE: Mapping[str, Callable[[PartRun], None]] = {
    "invisible_trigger": invisible_trigger_attack.prepare,
    "fine_pruning": fine_pruning_outcome.prepare,
    "activation_clustering": activation_clustering_outcome.prepare,
}
"""What a part's outcome checks can begin before they run, by part."""


class Grading:
    """One submission under one spec.

    Args:
        directory: the folder with the submission's files.
        isolation: ``auto`` takes the strongest that works here; ``none`` runs in this process.
        language: of the texts, ``en`` or ``zh``.
        report_directory: where the pictures go; None draws none, and a hidden spec allows none.
        entropy: seeds the unit checks' inputs; fresh for each grading unless given.
        device: for ``isolation="none"`` only.

    Raises:
        SubmissionError: there is no such folder.
        ValueError: a device with an isolation that has none.
    """

    def __init__(
        self,
        directory: Path,
        spec: Spec,
        *,
        isolation: Isolation | str = "auto",
        language: str = "en",
        report_directory: Path | None = None,
        entropy: int | None = None,
        device: str = "cpu",
        progress: Progress | None = None,
    ) -> None:
        if device != "cpu" and isolation != "none":
            raise ValueError("the sandbox shows no GPU: --device goes with --in-process")
        self.spec = spec
        self.language = language
        self.isolation: str = available_isolation()[0] if isolation == "auto" else isolation
        self.submission: Submission = read_submission(directory)
        self._device = device
        self._started = time.perf_counter()
        self._outcomes: dict[str, Outcome] = {}
        self._challenge: ChallengeResult | None = None
        entropy = secrets.randbits(64) if entropy is None else entropy
        pictures = None if spec.hidden else report_directory
        self._runs = {p.name: PartRun(spec, self._student(p), entropy, progress, pictures) for p in PARTS}

    def __enter__(self) -> Grading:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the step servers."""
        for run in self._runs.values():
            run.student.close()

    def student(self, name: str) -> StudentModule:
        """The file of one part, to call its functions for something else than a check."""
        return self._runs[name].student

    def _student(self, part_: Part) -> StudentModule:
        return StudentModule(part_, self.submission.sources[part_.name], self._start_server, self.spec.limits)

    def _start_server(self) -> StepServer:
        if self.isolation == "none":
            return LocalServer(self._device)
        limits = self.spec.limits
        return ChildServer(
            self.isolation,  # type: ignore[arg-type]
            limits=Limits(limits.memory_mib * 2**20, limits.cpu_seconds),
            threads=self.spec.threads.child,
            start_seconds=limits.start_seconds,
        )

    def warm_up(self, parts: Iterable[str] | None = None, *, outcomes: bool = True) -> None:
        """Start the children now, so that they import torch while the parent does something else.

        Args:
            outcomes: the outcome checks will be asked for, so begin what they need.
        """
        for name in parts or self._runs:
            if self._not_attempted(part(name)):
                continue
            self._runs[name].student.warm_up()
            if outcomes and name in PREPARE and not self.submission.sources[name].stubs:
                PREPARE[name](self._runs[name])

    def outcome(self, check_id: str) -> Outcome:
        """Run one check (and what it requires) unless it ran already.

        Raises:
            KeyError: the contract has no such check.
        """
        if check_id not in self._outcomes:
            asked = check(check_id)
            self._outcomes[check_id] = self._run(asked)
            self._end_if_done(asked.part)
        return self._outcomes[check_id]

    def _end_if_done(self, name: str) -> None:
        """A part's child keeps several hundred MiB and is not asked again once all of its checks have run."""
        if all(c.id in self._outcomes for c in part(name).checks):
            self._runs[name].student.close()

    def report(self, parts: Iterable[str] | None = None) -> Report:
        """Run every check of these parts (default: all) and put the results together."""
        names = list(parts or self._runs)
        for name in names:
            for check_ in part(name).checks:
                self.outcome(check_.id)
        if INVISIBLE_TRIGGER.name in names:
            self.challenge()
        return self.report_finished()

    def challenge(self) -> ChallengeResult | None:
        """Run the leaderboard entry, once; None where the student does not take part or the spec has none.

        Beside a hidden spec it runs under the public one, so that its numbers can be shown.
        """
        source = self.submission.challenge
        if source is None or self.spec.challenge.max_steps == 0:
            return None
        if self._challenge is None:
            shown = replace(load_spec(), threads=self.spec.threads) if self.spec.hidden else self.spec
            self._challenge = leaderboard.enter(
                source, shown, self.language, lacking=self._lacking, start=self._start_challenge
            )
        return self._challenge

    def _lacking(self) -> str | None:
        return next((c for c in leaderboard.NEEDS if self.outcome(c).status is not Status.PASSED), None)

    def _start_challenge(self, spec: Spec) -> PartRun:
        """A run of part 1 in a fresh step server; a reason for a person to look at it is one for the submission."""
        run = self._runs[INVISIBLE_TRIGGER.name]
        return PartRun(spec, self._student(INVISIBLE_TRIGGER), run.entropy, run.progress, review=run.review)

    @property
    def complete(self) -> bool:
        """Every check of every part that was touched has run."""
        touched = {outcome.part for outcome in self._outcomes.values()}
        return bool(touched) and all(c.id in self._outcomes for name in touched for c in part(name).checks)

    def report_finished(self) -> Report:
        """The report of the checks that have run so far, in the contract's order."""
        checks = tuple(self._outcomes[c.id] for p in PARTS for c in p.checks if c.id in self._outcomes)
        runs, hidden = self._runs.values(), self.spec.hidden
        return Report(
            grader_version=__version__,
            spec=self.spec.name,
            spec_hash=self.spec.hash,
            seed=None if hidden else self.spec.seed,
            submission=self.submission.directory.absolute().name,
            submission_hash=self.submission.hash,
            isolation=self.isolation,
            checks=checks,
            max_score=max_score(),
            max_bonus=max_bonus(),
            language=self.language,
            review=tuple(
                messages.review(key, values, self.language, withheld=hidden)
                for run in runs
                for key, values in run.review
            ),
            # the student's code can take as long as it likes, which would tell as much as a text
            seconds=0.0 if hidden else round(time.perf_counter() - self._started, 2),
            metrics={} if hidden else {n: dict(run.metrics) for n, run in self._runs.items() if run.metrics},
            tables={} if hidden else {n: dict(run.tables) for n, run in self._runs.items() if run.tables},
            challenge=self._challenge,
            pictures={f"{n}.{k}": v for n, run in self._runs.items() for k, v in run.pictures.items()},
        )

    @property
    def attack(self) -> invisible_trigger_attack.Attack | None:
        """The trained backdoor of part 1, where training ran to its end."""
        found = self._runs["invisible_trigger"].memo.get("attack")
        return found if isinstance(found, invisible_trigger_attack.Attack) else None

    @property
    def output(self) -> str:
        """What the student's code printed; nothing under a hidden spec."""
        return "" if self.spec.hidden else "".join(run.student.output for run in self._runs.values())

    def _run(self, check_: Check) -> Outcome:
        if self._not_attempted(part(check_.part)):
            return self._skipped(check_, Reason.NOT_ATTEMPTED)
        for required in check_.requires:
            outcome = self.outcome(required)
            if outcome.status is not Status.PASSED:
                return self._after_failed(check_, outcome)
        run = self._runs[check_.part]
        try:
            try:
                values = CHECKS[check_.id](run, run.rng(check_.id))
            except Finding as finding:
                return self._failed(check_, finding)
            except ResourceAbsent as absent:
                return self._skipped(check_, Reason.RESOURCE_ABSENT, resource=absent.resource)
            return self._outcome(check_, Status.PASSED, None, values or {})
        except Exception as error:  # noqa: BLE001 the grader's own fault must never count against the student
            traceback.print_exc()
            return self._outcome(
                check_, Status.ERROR, "grader_error", {"message": f"{type(error).__name__}: {error}"}
            )

    def _not_attempted(self, part_: Part) -> bool:
        return not part_.core and self.submission.sources[part_.name].is_untouched(part_)

    def _after_failed(self, check_: Check, required: Outcome) -> Outcome:
        """A check whose prerequisite did not pass: skipped, unless the same fault is plainly its own as well."""
        source = self.submission.sources[check_.part]
        unusable = self._runs[check_.part].student.unusable
        if unusable is not None:  # a fault of the file as a whole: every check of the part says the same
            return self._failed(check_, unusable)
        stubs = source.stubs
        todo = (
            check_.function
            if check_.function in stubs
            else next(iter(stubs), None)
            if check_.is_outcome
            else None
        )
        if todo is not None:
            return self._failed(check_, Finding("not_implemented", todo=todo, line=stubs[todo]))
        if required.status is Status.ERROR:
            return self._outcome(check_, Status.ERROR, "grader_error", {"message": required.id})
        return self._skipped(check_, Reason.DEPENDENCY_FAILED, checks=[required.id])

    def _failed(self, check_: Check, finding: Finding) -> Outcome:
        run = self._runs[check_.part]
        if finding.key == "protocol" and ("protocol", {}) not in run.review:
            run.review.append(("protocol", {}))
        source = self.submission.sources[check_.part]
        line = (None if self.spec.hidden else finding.line) or source.line_of(check_.function)
        location = Location(source.path.name, line) if line else None
        return self._outcome(check_, Status.FAILED, finding.key, finding.values, location=location)

    def _skipped(self, check_: Check, reason: Reason, **values: Any) -> Outcome:
        return self._outcome(check_, Status.SKIPPED, reason.value, values, reason=reason)

    def _outcome(
        self,
        check_: Check,
        status: Status,
        finding: str | None,
        values: Mapping[str, Any],
        *,
        reason: Reason | None = None,
        location: Location | None = None,
    ) -> Outcome:
        values = {"function": check_.function, "line": location.line if location else 0, **values}
        hidden = self.spec.hidden
        if hidden:
            finding = secrecy.told(check_.id, finding, self.spec.rationale_only)
            values = secrecy.own_values(values)
        texts = messages.render(check_.id, finding, values, self.language, plain=hidden)
        return Outcome(
            id=check_.id,
            part=check_.part,
            status=status,
            points=check_.points if status is Status.PASSED else 0,
            max_points=check_.points,
            reason=reason,
            ran=texts.ran,
            expected=texts.expected,
            got=texts.got,
            hint=texts.hint,
            location=location,
            finding=None if status is Status.PASSED else finding,
        )


def grade(directory: Path, spec: Spec, *, parts: Iterable[str] | None = None, **options: Any) -> Report:
    """Grade a submission from beginning to end; ``options`` are those of ``Grading``."""
    with Grading(directory, spec, **options) as grading:
        grading.warm_up(parts)
        return grading.report(parts)
