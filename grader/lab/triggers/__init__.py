"""Triggers as worked code, to study and to run: one file each, one interface (``base.Trigger``) for all of them.

| name | kind | file |
| --- | --- | --- |
| ``visible`` | static: a bright patch | ``visible.py`` |
| ``sticker``, ``lighting`` | static, physical: glasses; a lamp from one side | ``physical.py`` |
| ``invisible`` | static: part 1's delta | ``invisible.py`` |
| ``dynamic_visible`` | made for each image: mask and pattern | ``dynamic_visible.py`` |
| ``dynamic_invisible`` | made for each image, within epsilon | ``dynamic_invisible.py`` |

A new trigger is one file with a subclass, one entry in ``TRIGGERS``, and one way to train it in ``ATTACKS``.
"""

from __future__ import annotations

from typing import Protocol

import torch

from grader.lab.data import Images
from grader.lab.triggers import dynamic_invisible, dynamic_visible
from grader.lab.triggers.backdoor import Backdoor, Progress
from grader.lab.triggers.base import Trigger
from grader.lab.triggers.dynamic_invisible import GeneratedPerturbation
from grader.lab.triggers.dynamic_visible import MaskedPattern
from grader.lab.triggers.invisible import Perturbation
from grader.lab.triggers.physical import Glasses, Lighting
from grader.lab.triggers.poisoning import train_victim
from grader.lab.triggers.visible import Patch

TRIGGERS: dict[str, type[Trigger]] = {
    kind.name: kind for kind in (Patch, Glasses, Lighting, Perturbation, MaskedPattern, GeneratedPerturbation)
}


class Attack(Protocol):
    """(training set, target, seed, where to run, progress) -> a backdoored model with its trigger."""

    def __call__(
        self,
        train: Images,
        target: int,
        seed: int,
        *,
        device: torch.device | str = "cpu",
        progress: Progress | None = None,
    ) -> Backdoor: ...


def poisoning_with(trigger: Trigger) -> Attack:
    """The attack with a trigger that is fixed before training."""

    def attack(
        train: Images,
        target: int,
        seed: int,
        *,
        device: torch.device | str = "cpu",
        progress: Progress | None = None,
    ) -> Backdoor:
        return train_victim(train, trigger, target, seed, device=device, progress=progress)

    return attack


ATTACKS: dict[str, Attack] = {
    **{trigger.name: poisoning_with(trigger) for trigger in (Patch(), Glasses(), Lighting())},
    "dynamic_visible": dynamic_visible.attack,
    "dynamic_invisible": dynamic_invisible.attack,
}
"""All but ``invisible``, which trains with a submission's functions: ``invisible.attack``."""
