"""The triggers' interface, poisoning, what is saved; the dynamic attacks for a few steps."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor

from grader.lab.data import DataError, Images, load_mnist
from grader.lab.models import LeNet5, initialise
from grader.lab.triggers import ATTACKS, TRIGGERS, dynamic_invisible, dynamic_visible
from grader.lab.triggers.backdoor import Backdoor, load_backdoor, measure, save_backdoor
from grader.lab.triggers.base import Trigger
from grader.lab.triggers.dynamic_invisible import GeneratedPerturbation
from grader.lab.triggers.dynamic_visible import MaskedPattern, cross_trigger_accuracy
from grader.lab.triggers.generator import Generator
from grader.lab.triggers.invisible import Perturbation
from grader.lab.triggers.physical import Glasses, Lighting
from grader.lab.triggers.poisoning import poison
from grader.lab.triggers.visible import Patch

EPSILON = 16 / 255


def drawn_generator(seed: int) -> Generator:
    network = Generator()
    initialise(network, torch.Generator().manual_seed(seed))
    return network


def one_of_each() -> list[Trigger]:
    delta = EPSILON * (2 * torch.rand(1, 1, 28, 28, generator=torch.Generator().manual_seed(5)) - 1)
    return [
        Patch(), Glasses(), Lighting(), Perturbation(delta, EPSILON),
        MaskedPattern(drawn_generator(1), drawn_generator(2)), GeneratedPerturbation(drawn_generator(3), EPSILON),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def test_images() -> Images:
    return load_mnist("test", grey_levels=True).subset(slice(0, 600))


@pytest.fixture(scope="module")
def x(test_images: Images) -> Tensor:
    return test_images.as_float().x[:16]


def test_every_trigger_is_tried_here() -> None:
    assert {trigger.name for trigger in one_of_each()} == set(TRIGGERS)
    assert set(ATTACKS) == set(TRIGGERS) - {"invisible"}


@pytest.mark.parametrize("trigger", one_of_each(), ids=lambda t: t.name)
def test_a_trigger_maps_images_to_images(trigger: Trigger, x: Tensor) -> None:
    before = x.clone()
    triggered = trigger(x)
    assert triggered.shape == x.shape
    assert triggered.dtype == torch.float32
    assert bool(((triggered >= 0) & (triggered <= 1)).all())
    assert not torch.equal(triggered, x)
    assert torch.equal(x, before), "the images themselves stay as they are"
    assert torch.allclose(triggered[:1], trigger(x[:1]), atol=1e-6), (
        "an image's trigger depends on no other image"
    )
    assert trigger.budget


@pytest.mark.parametrize("trigger", one_of_each(), ids=lambda t: t.name)
def test_only_dynamic_triggers_look_at_the_image(trigger: Trigger) -> None:
    grey, other = torch.full((1, 1, 28, 28), 0.5), torch.full((1, 1, 28, 28), 0.5)
    other[:, :, 10:20, 10:20] = 0.6
    change, other_change = trigger(grey) - grey, trigger(other) - other
    elsewhere = torch.ones(28, 28, dtype=torch.bool)
    elsewhere[10:20, 10:20] = False
    same = torch.allclose(change[..., elsewhere], other_change[..., elsewhere], atol=1e-6)
    assert same == trigger.static


@pytest.mark.parametrize("trigger", one_of_each(), ids=lambda t: t.name)
def test_a_backdoor_is_read_as_it_was_written(trigger: Trigger, x: Tensor, tmp_path: Path) -> None:
    model = LeNet5()
    initialise(model, torch.Generator().manual_seed(1))
    save_backdoor(tmp_path, Backdoor(model, trigger, 3))
    found = load_backdoor(tmp_path, TRIGGERS)
    assert found.target == 3
    assert torch.equal(found.trigger(x), trigger(x))
    assert torch.equal(found.model(x), model(x))


@pytest.mark.parametrize("name", ["backdoor.json", "trigger.safetensors", "model.safetensors"])
def test_a_damaged_backdoor_is_named(name: str, tmp_path: Path) -> None:
    save_backdoor(tmp_path, Backdoor(LeNet5(), Patch(), 3))
    (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(DataError, match=str(tmp_path)):
        load_backdoor(tmp_path, TRIGGERS)


def test_what_is_no_trigger_is_refused(x: Tensor) -> None:
    with pytest.raises(ValueError, match="leaves its ball"):
        Perturbation(torch.full((1, 1, 28, 28), 0.1), EPSILON)
    with pytest.raises(ValueError, match="leaves its ball"):
        Perturbation(torch.full((1, 1, 28, 28), float("nan")), EPSILON)
    with pytest.raises(ValueError, match="is not for images of"):
        Perturbation(torch.zeros(1, 3, 28, 28), EPSILON)(x)
    with pytest.raises(ValueError, match="float32"):
        Patch()(x.double())
    with pytest.raises(ValueError, match="no such patch"):
        Patch(size=0)
    with pytest.raises(ValueError, match="does not fit"):
        Patch(size=40)(x)


def test_poisoning_changes_the_share_that_was_asked_for(test_images: Images) -> None:
    poisoned = poison(test_images, Patch(), 7, torch.Generator().manual_seed(1), ratio=0.1)
    changed = (poisoned.images.x != test_images.x).flatten(1).any(1)
    assert int(poisoned.poisoned.sum()) == 60
    assert torch.equal(changed, poisoned.poisoned)
    assert bool((poisoned.images.y[poisoned.poisoned] == 7).all())
    assert bool((test_images.y[poisoned.poisoned] != 7).all()), "images of the target class are left alone"
    assert torch.equal(poisoned.images.y[~poisoned.poisoned], test_images.y[~poisoned.poisoned])
    # white patch: the poisoned pixels are at full brightness
    assert bool((poisoned.images.x[poisoned.poisoned][:, :, 24:27, 24:27] == 255).all())


@pytest.mark.parametrize("ratio", [0.0, 0.95, 1.5])
def test_an_impossible_ratio_is_refused(ratio: float, test_images: Images) -> None:
    with pytest.raises(ValueError, match="poison ratio"):
        poison(test_images, Patch(), 7, torch.Generator(), ratio=ratio)


def test_a_few_steps_of_the_dynamic_attacks(test_images: Images) -> None:
    seen: list[tuple[int, int]] = []

    def progress(done: int, total: int, loss: float) -> None:
        assert loss == loss
        seen.append((done, total))

    few = dataclasses.replace(dynamic_invisible.Settings(), steps=(3, 2))
    found = dynamic_invisible.attack(test_images, 7, 1, settings=few, progress=progress)
    assert measure(found, test_images).linf <= 16
    assert seen == [(i, 5) for i in range(1, 6)]
    seen.clear()
    few_too = dataclasses.replace(dynamic_visible.Settings(), mask_steps=2, steps=3)
    found = dynamic_visible.attack(test_images, 7, 1, settings=few_too, progress=progress)
    assert cross_trigger_accuracy(found, test_images).total == 600
    assert seen == [(i, 5) for i in range(1, 6)]
    with pytest.raises(ValueError, match="not made for an image"):
        cross_trigger_accuracy(Backdoor(found.model, Patch(), 7), test_images)
