"""Each defence on one backdoor: what it says, and what it does to ACC and ASR, in one form for tables and pictures.

ACC and ASR are ``metrics``'s, of 8-bit images; what a defence rejects is neither right nor a success of the attack.
Fine-Pruning and Activation Clustering run a submission's functions (``algorithms.py``).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch

from grader.lab.data import Images
from grader.lab.defences import activation_clustering as ac
from grader.lab.defences import fine_pruning as fp
from grader.lab.defences.neural_cleanse import Reversed, Settings, neural_cleanse, unlearn
from grader.lab.defences.repair import clean_set
from grader.lab.defences.strip import Strip, strip
from grader.lab.metrics import Rate, predict, to_8bit
from grader.lab.models import LeNet5
from grader.lab.training import train_clean
from grader.lab.triggers.backdoor import Backdoor, rates
from grader.lab.triggers.poisoning import SETTINGS, PoisonedSet, poison

Progress = Callable[[int, int, float], None]
STRIP_INPUTS = 1000
"""Clean inputs to set STRIP's threshold on, as many to judge, and as many triggered ones."""
LEAST_PLANTED = 0.5
"""A poisoned set whose victim obeys the trigger less often than this holds no backdoor to find."""


@dataclass(frozen=True)
class Verdict:
    """What a defence made of one backdoor.

    Attributes:
        variant: which of several rules the defence followed; empty where there is one.
        says: its finding, in a few words.
        alarm: it found something; None where it judges nothing, it only repairs.
        right: what it found is the backdoor: the target class, or most of the poison; None as for ``alarm``.
        before: ACC and ASR of what it defends.
        after: the same after it did its work; None where the attack gives it nothing to work on, and ``says`` why.
        score: the defence's own figure: FAR, F1, the anomaly index of the target, the share pruned.
        details: what the pictures need.
    """

    defence: str
    says: str
    alarm: bool | None
    right: bool | None
    before: tuple[Rate, Rate]
    after: tuple[Rate, Rate] | None
    score: float | None = None
    variant: str = ""
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Data:
    """MNIST as a defender has it: uint8 images."""

    train: Images
    test: Images
    seed: int

    @property
    def clean(self) -> Images:
        """The defender's own clean images, of the training set."""
        return clean_set(self.train, self.seed)


def by_strip(backdoor: Backdoor, data: Data) -> list[Verdict]:
    """STRIP at a false rejection rate of 1 %, on test images."""
    test = data.test.subset(slice(0, 4 * STRIP_INPUTS)).as_float()
    clean = test.subset(slice(0, 2 * STRIP_INPUTS))
    rest = test.subset(slice(2 * STRIP_INPUTS, None))
    others = rest.x[rest.y != backdoor.target][:STRIP_INPUTS]
    triggered = to_8bit(backdoor.trigger(others))
    generator = torch.Generator().manual_seed(data.seed)
    found = strip(backdoor.model, clean.x, triggered, data.clean.as_float().x, generator)
    obeyed = predict(backdoor.model, triggered) == backdoor.target
    through = (found.triggered >= found.threshold).to(obeyed.device)
    judged = slice(len(clean) // 2, None)  # the first half has set the threshold
    right = predict(backdoor.model, clean.x[judged]) == clean.y[judged]
    kept = (found.clean[judged] >= found.threshold).to(right.device)
    acc = Rate(int((right & kept).sum()), len(right))
    asr = Rate(int((through & obeyed).sum()), len(others))
    caught = found.far.value <= 0.5
    says = f"FAR {found.far.value:.1%} at FRR {found.frr.value:.1%}"
    return [
        Verdict(
            "strip", says, caught, caught, rates(backdoor, data.test), (acc, asr), found.far.value,
            details={"strip": found},
        )
    ]  # fmt: skip


def by_neural_cleanse(
    backdoor: Backdoor, data: Data, progress: Progress | None = None, *, settings: Settings | None = None
) -> list[Verdict]:
    """Neural Cleanse on the defender's clean images, then unlearning of what it flagged."""
    generator = torch.Generator().manual_seed(data.seed)
    found = neural_cleanse(backdoor.model, data.clean, generator, settings=settings, progress=progress)
    model = copy.deepcopy(backdoor.model)
    unlearn(model, found, data.clean, generator)
    target = backdoor.target
    index = float(found.indices[target])
    says = f"{_flags(found)}; index of {target}: {index:.1f}, rank of its mask {found.rank(target)}"
    return [
        Verdict(
            "neural_cleanse", says, bool(found.flagged), target in found.flagged, rates(backdoor, data.test),
            rates(Backdoor(model.eval(), backdoor.trigger, target), data.test), index, details={"reversed": found},
        )
    ]  # fmt: skip


def _flags(found: Reversed) -> str:
    return f"flags {', '.join(map(str, found.flagged))}" if found.flagged else "flags no class"


def by_fine_pruning(
    backdoor: Backdoor,
    data: Data,
    algorithm: fp.Algorithm,
    progress: Progress | None = None,
    *,
    shares: Sequence[float] = fp.SHARES,
) -> list[Verdict]:
    """For each rule, the lowest ASR at an ACC at most one point lower.

    The share to prune is chosen with the trigger in hand, which no defender has: the best that the rule could do.
    """
    points = fp.curve(backdoor, data.clean, data.test, algorithm, data.seed, shares=shares, progress=progress)
    before = rates(backdoor, data.test)
    found = []
    for rule in fp.RULES:
        best = fp.best([p for p in points if p.rule == rule], before[0].value)
        share = 0.0 if best is None else best.share
        says = "no pruning keeps ACC" if best is None else f"{share:.0%} pruned, then fine-tuned"
        after = before if best is None else (best.tuned_acc, best.tuned_asr)
        details = {"points": points}
        found.append(Verdict("fine_pruning", says, None, None, before, after, share, rule, details))
    return found


def by_activation_clustering(
    backdoor: Backdoor,
    data: Data,
    algorithm: ac.Algorithm,
    progress: Progress | None = None,
    *,
    pictures: bool = True,
    reclassify: bool = False,
) -> list[Verdict]:
    """On a fresh victim, trained on a set that the attack's trigger poisoned: poison found, relabelled, forgotten.

    Args:
        pictures: judge every class by the usual measures, and keep what the scatter plots need.
        reclassify: one of the measures is exclusionary reclassification, which trains a model a class.
    """
    victim, poisoned = fresh_victim(backdoor, data)
    before = rates(victim, data.test)
    if before[1].value < LEAST_PLANTED:
        why = f"n/a: poisoning does not plant this trigger (ASR {before[1].value:.1%})"
        return [Verdict("activation_clustering", why, None, None, before, None)]
    features = ac.features_of(victim.model, poisoned)
    flagged = algorithm.flag_poisoned(features, poisoned.images.y.cpu(), data.seed)
    found = ac.compare(flagged, poisoned.poisoned)
    model = copy.deepcopy(victim.model)
    ac.forget(model, poisoned, flagged, algorithm, data.seed)
    after = rates(Backdoor(model, backdoor.trigger, backdoor.target), data.test)
    says = f"precision {found.precision:.3f}, recall {found.recall:.3f}, F1 {found.f1:.3f}"
    details: dict[str, Any] = {}
    if pictures:
        train = poisoned.images if reclassify else None
        judged = ac.judge_classes(
            features, poisoned.images.y.cpu(), algorithm, data.seed, train=train, progress=progress
        )
        details = {"judged": judged, "features": features, "poisoned": poisoned}
    return [
        Verdict(
            "activation_clustering", says, found.flagged > 0, found.recall > 0.5 and found.precision > 0.5, before,
            after, found.f1, details=details,
        )
    ]  # fmt: skip


def fresh_victim(backdoor: Backdoor, data: Data) -> tuple[Backdoor, PoisonedSet]:
    """A LeNet-5 trained from scratch on a training set of which a tenth carries the backdoor's trigger."""
    generator = torch.Generator().manual_seed(data.seed)
    poisoned = poison(data.train, backdoor.trigger, backdoor.target, generator)
    model = train_clean(poisoned.images, SETTINGS, data.seed).eval()
    return Backdoor(model, backdoor.trigger, backdoor.target), poisoned


@dataclass(frozen=True)
class FalseAlarm:
    """What a defence says of a clean model.

    Attributes:
        says: in a few words.
        alarm: it accuses the model, or images of its training set; None where it judges inputs one by one.
        flagged: clean things taken for bad, of how many: inputs, training images or classes.
        details: what the pictures need.
    """

    defence: str
    says: str
    alarm: bool | None
    flagged: Rate
    details: dict[str, Any] = field(default_factory=dict)


def strip_on_clean(model: LeNet5, data: Data) -> FalseAlarm:
    """Held-out clean inputs that STRIP rejects."""
    clean = data.test.subset(slice(0, 2 * STRIP_INPUTS)).as_float().x
    generator = torch.Generator().manual_seed(data.seed)
    found = strip(model, clean, clean[:1], data.clean.as_float().x, generator)
    return FalseAlarm("strip", f"rejects {found.frr} of clean inputs", None, found.frr)


def clustering_on_clean(model: LeNet5, data: Data, algorithm: ac.Algorithm) -> FalseAlarm:
    """Images of a clean training set that Activation Clustering takes for poison."""
    nothing = PoisonedSet(data.train, torch.zeros(len(data.train), dtype=torch.bool))
    features = ac.features_of(model, nothing)
    flagged = algorithm.flag_poisoned(features, data.train.y.cpu(), data.seed)
    count = int(flagged.sum())
    classes = sorted(set(data.train.y.cpu()[flagged].tolist()))
    says = f"takes {count:,} images of the classes {classes} for poison" if count else "finds no poison"
    return FalseAlarm("activation_clustering", says, count > 0, Rate(count, len(flagged)))


def cleanse_on_clean(
    model: LeNet5, data: Data, progress: Progress | None = None, *, settings: Settings | None = None
) -> FalseAlarm:
    """Classes of a clean model that Neural Cleanse flags."""
    generator = torch.Generator().manual_seed(data.seed)
    found = neural_cleanse(model, data.clean, generator, settings=settings, progress=progress)
    smallest = int(found.norms.argmin())
    says = f"{_flags(found)}; smallest mask: {smallest}, index {found.indices[smallest]:.1f}"
    rate = Rate(len(found.flagged), len(found.norms))
    return FalseAlarm("neural_cleanse", says, bool(found.flagged), rate, {"reversed": found})


def draw(verdict: Verdict | FalseAlarm, path: Path) -> None:
    """The defence's picture, if it kept what it needs."""
    from grader.experiments import pictures

    details = verdict.details
    if "strip" in details:
        pictures.plot_entropies(cast(Strip, details["strip"]), path)
    elif "reversed" in details:
        pictures.plot_reversed(cast(Reversed, details["reversed"]), path)
    elif "points" in details:
        pictures.plot_pruning(details["points"], path)
    elif "judged" in details:
        pictures.plot_clusters(details["features"], details["poisoned"], details["judged"], path)
