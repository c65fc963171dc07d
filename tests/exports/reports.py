"""Reports to export: everything passed, a mixture, untouched stubs, a grader error; worded as by grading."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from grader import messages
from grader.contract import PARTS, max_bonus, max_score
from grader.exports.classroom50 import Identity
from grader.outcome import ChallengeResult, Location, Outcome, Reason, Report, Status

# One string with what each reader could stumble over.
HOSTILE = (
    "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x00\x08\x9b1m <script>alert(1)</script><img src=x onerror=alert(2)> "
    "]]> {{ 7*7 }} {0} %s | a|b `code` ``` ```` **bold** [x](javascript:alert(3)) \u202egnp.exe\u2028 @everyone #1\n"
    "::error file=x,line=1::forged\n  ::set-output name=score::100\n##[error]forged %0A::warning::forged\n"
    '=HYPERLINK("http://x";"y")\n'
    "{'scores': {'Part 1': 100}}"
)
WHO = Identity(
    classroom="course",
    assignment="backdoor-lab",
    assignment_type="individual",
    owner="student",
    submission="submit/2026-11-20T10-00-00Z-abc1234",
    commit="https://github.com/o/r/commit/abc",
    release="https://github.com/o/r/releases/tag/s",
    review="https://github.com/o/r/compare/a...b",
    submitted=datetime(2026, 11, 20, 11, 0, tzinfo=UTC),
)
PASSED: Mapping[str, Mapping[str, Any]] = {
    "invisible_trigger.outcome.acc": {"acc": 0.9881},
    "invisible_trigger.outcome.asr": {"asr": 1.0, "hits": 9020, "total": 9020},
    "invisible_trigger.outcome.bound": {"linf": 0.03137, "epsilon": 8 / 255},
    **{
        f"clean_label.outcome.{victim}{name}": values
        for victim in ("", "cifar10_")
        for name, values in (
            ("turned", {"turned": 10, "total": 10}),
            ("acc", {"acc": 0.981, "clean_acc": 0.985}),
            ("budget", {"linf": 0.298, "epsilon": 76 / 255}),
        )
    },
    "fine_pruning.outcome.asr": {"before": 0.9998, "asr": 0.0038},
    "fine_pruning.outcome.acc": {"before": 0.9848, "after": 0.9844},
    "activation_clustering.outcome.f1": {"f1": 0.9975, "precision": 0.995, "recall": 1.0},
    "activation_clustering.outcome.asr": {"before": 0.9998, "asr": 0.0012},
    "activation_clustering.outcome.acc": {"before": 0.981, "after": 0.9803},
}
RANKED = ChallengeResult("ranked", "Your entry counts.", 3, 2800, 0.99714, 0.0004)
Fault = tuple[Status, str, Mapping[str, Any], int | None]


def outcome(
    check_id: str,
    points: int,
    *,
    status: Status = Status.PASSED,
    finding: str | None = None,
    values: Mapping[str, Any] | None = None,
    line: int | None = None,
    language: str = "en",
) -> Outcome:
    """One outcome, worded by the messages."""
    texts = messages.render(check_id, finding, values or {}, language)
    part = check_id.split(".")[0]
    return Outcome(
        id=check_id,
        part=part,
        status=status,
        points=points if status is Status.PASSED else 0,
        max_points=points,
        reason=Reason(str(finding)) if status is Status.SKIPPED else None,
        ran=texts.ran,
        expected=texts.expected,
        got=texts.got,
        hint=texts.hint,
        location=None if line is None else Location(f"{part}.py", line),
        finding=finding,
    )


def report(faults: Mapping[str, Fault] | None = None, *, language: str = "en", **fields: Any) -> Report:
    """A report where everything passed but the ``faults`` (check id -> status, finding, values, line)."""
    faults = faults or {}
    checks = []
    for part in PARTS:
        for check in part.checks:
            if check.id in faults:
                status, finding, values, line = faults[check.id]
            else:
                status, finding, values, line = Status.PASSED, None, PASSED.get(check.id, {}), None
            checks.append(
                outcome(
                    check.id,
                    check.points,
                    status=status,
                    finding=finding,
                    values=values,
                    line=line,
                    language=language,
                )
            )
    defaults: dict[str, Any] = {
        "grader_version": "0.1.0",
        "spec": "public",
        "spec_hash": "0123456789abcdef",
        "seed": 7,
        "submission": "student",
        "submission_hash": "fedcba9876543210" * 4,
        "isolation": "bubblewrap",
        "max_score": max_score(),
        "max_bonus": max_bonus(),
        "seconds": 21.4,
        "metrics": {
            "invisible_trigger": {
                "acc": 0.9881, "asr": 1.0, "asr_hits": 9020, "asr_total": 9020, "untriggered_rate": 0.0021,
                "linf": 0.031373, "l2": 0.512, "psnr": 38.1, "ssim": 0.971,
            }
        },
    }  # fmt: skip
    return Report(checks=tuple(checks), language=language, **{**defaults, **fields})


def full(**fields: Any) -> Report:
    """All points."""
    return report(**fields)


def mixed(**fields: Any) -> Report:
    """Faults of different kinds, one of them with a hostile message, and skipped dependents."""
    name = "invisible_trigger"
    adds, bound = f"{name}.apply_trigger.adds_delta", f"{name}.outcome.bound"
    clamps, loss = f"{name}.apply_trigger.clamps_to_pixel_range", f"{name}.poison_step.returns_loss"
    faults: dict[str, Fault] = {
        clamps: (Status.FAILED, "clamped_high_only", {}, 33),
        loss: (Status.FAILED, "mean_of_terms", {}, 70),
        f"{name}.poison_step.model_gradients": (Status.FAILED, "mean_of_terms", {}, 70),
        f"{name}.delta_step.keeps_leaf": (Status.FAILED, "exception", {"type": "Evil`|<b>", "message": HOSTILE}, 88),
        f"{name}.poison_step.clears_model_gradients": (
            Status.SKIPPED, "dependency_failed", {"checks": [f"{name}.poison_step.model_gradients"]}, None,
        ),
        bound: (Status.SKIPPED, "dependency_failed", {"checks": [adds]}, None),
        f"{name}.outcome.acc": (Status.SKIPPED, "dependency_failed", {"checks": [clamps]}, None),
        f"{name}.outcome.asr": (Status.SKIPPED, "dependency_failed", {"checks": [clamps]}, None),
    }  # fmt: skip
    return report(faults, **fields)


def stubs(**fields: Any) -> Report:
    """Nothing done yet: every check says so."""
    faults: dict[str, Fault] = {}
    for part in PARTS:
        for check in part.checks:
            todo = part.functions[0].name if check.is_outcome else check.function
            faults[check.id] = (Status.FAILED, "not_implemented", {"todo": todo}, 20)
    return report(faults, metrics={}, **fields)


def grader_error(**fields: Any) -> Report:
    """The grader itself failed in one check."""
    check_id = "invisible_trigger.poison_step.delta_gradient"
    return report(
        {check_id: (Status.ERROR, "grader_error", {"message": "OSError: no space left"}, None)}, **fields
    )
