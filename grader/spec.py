"""The spec: seeds, target class, epsilon, budgets, thresholds and limits of one grading, read from TOML.

``specs/public.toml`` ships to students. An instructor's hidden spec is one more file of the same form with other
values, given with ``--spec``. Reading is strict: a missing or unknown key, or a value out of its range, is an error
that names it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import re
import tomllib
import types
from dataclasses import dataclass
from fnmatch import fnmatchcase
from fractions import Fraction
from pathlib import Path
from typing import Any, get_type_hints

from grader.contract import PARTS
from grader.lab.training import AttackSettings, CleanSettings
from grader.settings import PUBLIC_SPEC
from grader.spec_repair import ActivationClusteringSpec, FinePruningSpec, repair_rules

SCHEMA = "backdoor-lab/spec/v1"


class SpecError(Exception):
    """The spec file cannot be used; the message says which key and why."""


@dataclass(frozen=True)
class LimitSettings:
    """How long the child may take (seconds of wall time, unless said otherwise) and how much memory it may use."""

    start_seconds: float
    load_seconds: float
    call_seconds: float
    step_seconds: float
    run_seconds: float
    cpu_seconds: int
    memory_mib: int


@dataclass(frozen=True)
class ThreadSettings:
    """OpenMP threads of the two processes: two pools of two fight over two cores."""

    parent: int
    child: int


@dataclass(frozen=True)
class Thresholds:
    """What the outcome needs, as shares in [0, 1]: at least ``acc`` and ``asr``, at most ``untriggered_rate``."""

    acc: float
    asr: float
    untriggered_rate: float


_FRACTION = re.compile(r"[0-9]{1,9}(?:/[0-9]{1,9}|\.[0-9]{1,9})?")


@dataclass(frozen=True)
class InvisibleTriggerSpec:
    """Part 1.

    Attributes:
        clean_seed: of the clean start.
        split_seed: which images train and which judge: 0 is MNIST's own split, see ``split_mnist``.
        audit_share: the share of training steps whose returned gradients are checked.
    """

    target: int
    epsilon: float
    clean_seed: int
    split_seed: int
    audit_share: float
    clean: CleanSettings
    attack: AttackSettings
    thresholds: Thresholds


@dataclass(frozen=True)
class ChallengeSpec:
    """The leaderboard of ``challenge.toml``. Of a hidden spec only ``max_steps = 0`` counts, see ``leaderboard.py``.

    Attributes:
        max_steps: the budget of training steps; 0 where there is no leaderboard.
        max_grey_levels: the largest epsilon that may enter, in grey levels.
        least_asr: of images rounded to 8 bits, a share.
        largest_acc_drop: below the clean start's ACC, a share: 0.002 are 0.2 points.
        training_seconds: the time limit of the training.
    """

    max_steps: int
    max_grey_levels: int
    least_asr: float
    largest_acc_drop: float
    training_seconds: float


@dataclass(frozen=True)
class CleanLabelAttack:
    """One victim of part 2, and what the attack on it must reach.

    Attributes:
        targets: how many test images are attacked, each with a victim of its own.
        poisons: images that are made for each of them.
        images: clean images that the victim trains its last layer on, a multiple of 10.
        candidates: further training images, of all classes, among which bases are chosen.
        judged: test images that give the accuracy; the targets are among them.
        weight_decay: of the victim's last layer.
        epsilon: a whole number of grey levels, because poisons are saved with 8 bits.
        step_size, beta, iterations: arguments of ``craft_poisons``.
        turned: targets that must be taken for their base class, at least.
        acc_drop: largest accepted fall of the accuracy, on average over the victims.
    """

    targets: int
    poisons: int
    images: int
    candidates: int
    judged: int
    weight_decay: float
    epsilon: float
    step_size: float
    beta: float
    iterations: int
    turned: int
    acc_drop: float


@dataclass(frozen=True)
class CleanLabelSpec:
    """Part 2. The network on MNIST is part 1's clean start; on CIFAR-10 it is the project's ResNet-18.

    Attributes:
        on_cifar10: attack on CIFAR-10, too, where its images are: minutes of evidence, and no points.
    """

    on_cifar10: bool
    mnist: CleanLabelAttack
    cifar10: CleanLabelAttack


@dataclass(frozen=True)
class Spec:
    """One grading's settings.

    Attributes:
        seed: gives the order of the attack's batches.
        hidden: keep everything from the student that could tell what is in here; see ``secrecy.py``.
        rationale_only: patterns of check ids; under a hidden spec these say that they failed and not how.
    """

    name: str
    seed: int
    hidden: bool
    rationale_only: tuple[str, ...]
    limits: LimitSettings
    threads: ThreadSettings
    invisible_trigger: InvisibleTriggerSpec
    clean_label: CleanLabelSpec
    fine_pruning: FinePruningSpec
    activation_clustering: ActivationClusteringSpec
    challenge: ChallengeSpec
    hash: str = ""

    def with_seed(self, seed: int) -> Spec:
        """The same spec with another seed for the order of the batches."""
        return dataclasses.replace(self, seed=seed)


def load_spec(path: Path = PUBLIC_SPEC) -> Spec:
    """Read a spec file.

    Raises:
        SpecError: it cannot be read, is not TOML, or a key is missing, unknown, of another type or out of range.
    """
    try:
        content = path.read_bytes()
        data = tomllib.loads(content.decode("utf-8"))
    except OSError as error:
        raise SpecError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise SpecError(f"{path}: not a TOML file: {error}") from error
    if data.pop("schema", None) != SCHEMA:
        raise SpecError(f'{path}: the first key must be schema = "{SCHEMA}"')
    data["hash"] = hashlib.sha256(content).hexdigest()[:16]
    try:
        spec: Spec = _build(Spec, data, "")
        _check_ranges(spec)
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from None
    return spec


def _build(cls: type, data: Any, where: str) -> Any:
    """A dataclass from a TOML table; every field must be there, nothing else may be."""
    if not isinstance(data, dict):
        raise SpecError(f"{where.rstrip('.')} must be a table")
    fields = [f.name for f in dataclasses.fields(cls)]
    for name in fields:
        if name not in data:
            raise SpecError(f"the key {where}{name} is missing")
    for name in data:
        if name not in fields:
            raise SpecError(f"the key {where}{name} is unknown; here are {', '.join(fields)}")
    hints = get_type_hints(cls)
    return cls(**{name: _value(hints[name], data[name], f"{where}{name}") for name in fields})


def _value(kind: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(kind):
        assert isinstance(kind, type)
        return _build(kind, value, f"{where}.")
    if isinstance(kind, types.UnionType):
        kind = next(k for k in kind.__args__ if k is not type(None))
    if kind is float and isinstance(value, str):
        return _fraction(value, where)
    if type(value) is int and abs(value) >= 2**63:
        raise SpecError(f"{where} is too large a number")
    if kind is float and type(value) is int:
        return float(value)
    if kind == tuple[str, ...]:
        if not isinstance(value, list) or not all(type(item) is str for item in value):
            raise SpecError(f"{where} must be a list of texts, not {value!r}")
        return tuple(value)
    if type(value) is not kind:
        raise SpecError(f"{where} must be {kind.__name__}, not {value!r}")
    if kind is float and not math.isfinite(value):
        raise SpecError(f"{where} must be a finite number, not {value}")
    return value


def _fraction(text: str, where: str) -> float:
    """A number written as a fraction: "8/255" is eight grey levels."""
    try:
        if _FRACTION.fullmatch(text) is None:
            raise ValueError(text)
        return float(Fraction(text))
    except (ValueError, ZeroDivisionError):
        raise SpecError(f'{where} must be a number or a fraction such as "8/255", not {text!r}') from None


def _check_ranges(spec: Spec) -> None:
    part = spec.invisible_trigger
    shares = {f"thresholds.{k}": v for k, v in dataclasses.asdict(part.thresholds).items()}
    positive = {
        **{f"limits.{k}": v for k, v in dataclasses.asdict(spec.limits).items()},
        **{f"threads.{k}": v for k, v in dataclasses.asdict(spec.threads).items()},
        **{f"invisible_trigger.clean.{k}": v for k, v in dataclasses.asdict(part.clean).items()},
        **{f"invisible_trigger.attack.{k}": v for k, v in dataclasses.asdict(part.attack).items()},
    }
    rules = [
        (0 <= part.target <= 9, "invisible_trigger.target must be a digit, 0 to 9", part.target),
        (0 < part.epsilon <= 1, "invisible_trigger.epsilon must be in (0, 1], in pixel units", part.epsilon),
        (0 <= part.audit_share <= 1, "invisible_trigger.audit_share must be in [0, 1]", part.audit_share),
        (spec.seed >= 0, "seed must not be negative", spec.seed),
        (part.clean_seed >= 0, "invisible_trigger.clean_seed must not be negative", part.clean_seed),
        (part.split_seed >= 0, "invisible_trigger.split_seed must not be negative", part.split_seed),
        *((any(fnmatchcase(c.id, pattern) for p in PARTS for c in p.checks),
           "rationale_only must name checks of the contract", repr(pattern)) for pattern in spec.rationale_only),
        *((0 <= v <= 1, f"invisible_trigger.{k} must be in [0, 1]", v) for k, v in shares.items()),
        *((v > 0, f"{k} must be positive", v) for k, v in positive.items() if not isinstance(v, str)),
        (spec.challenge.max_steps >= 0, "challenge.max_steps must not be negative", spec.challenge.max_steps),
        (1 <= spec.challenge.max_grey_levels <= 255, "challenge.max_grey_levels must be 1 to 255",
         spec.challenge.max_grey_levels),
        (0 <= spec.challenge.least_asr <= 1, "challenge.least_asr must be in [0, 1]", spec.challenge.least_asr),
        (0 <= spec.challenge.largest_acc_drop <= 1, "challenge.largest_acc_drop must be in [0, 1]",
         spec.challenge.largest_acc_drop),
        (spec.challenge.training_seconds > 0, "challenge.training_seconds must be positive",
         spec.challenge.training_seconds),
        (part.attack.batch_size <= 2048, "invisible_trigger.attack.batch_size must be at most 2048",
         part.attack.batch_size),
        *_clean_label_rules("mnist", spec.clean_label.mnist),
        *_clean_label_rules("cifar10", spec.clean_label.cifar10),
        *repair_rules(spec.fine_pruning, spec.activation_clustering),
    ]  # fmt: skip
    for holds, rule, value in rules:
        if not holds:
            raise SpecError(f"{rule}, not {value}")


def _clean_label_rules(victim: str, settings: CleanLabelAttack) -> list[tuple[bool, str, object]]:
    """The same for one victim of part 2: (holds, rule, value)."""
    where = f"clean_label.{victim}"
    values = dataclasses.asdict(settings)
    levels = 255 * settings.epsilon
    most = {"targets": 100, "poisons": 50, "images": 10_000, "candidates": 50_000, "judged": 10_000}
    return [
        *((v > 0, f"{where}.{k} must be positive", v) for k, v in values.items() if k not in ("beta", "turned")),
        *((values[k] <= v, f"{where}.{k} must be at most {v}", values[k]) for k, v in most.items()),
        (settings.beta >= 0, f"{where}.beta must not be negative", settings.beta),
        (settings.images % 10 == 0, f"{where}.images must be a multiple of 10, the classes", settings.images),
        (settings.epsilon <= 1 and abs(levels - round(levels)) < 1e-6,
         f"{where}.epsilon must be a whole number of grey levels, k/255, at most 1", settings.epsilon),
        (0 < settings.turned <= settings.targets, f"{where}.turned must be between 1 and its targets",
         settings.turned),
        (settings.acc_drop <= 1, f"{where}.acc_drop must be in (0, 1]", settings.acc_drop),
    ]  # fmt: skip
