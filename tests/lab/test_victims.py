"""Part 3's two victims: the committed ones are those of the public spec, and they are what they are said to be."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from grader.lab import victims
from grader.lab.data import DATA_DIR, Images, load_mnist, to_float
from grader.lab.defences.fine_pruning import activations
from grader.lab.metrics import accuracy, attack_success_rate, predict
from grader.lab.models import LeNet5, initialise
from grader.lab.training import clean_file_name
from grader.lab.triggers.poisoning import PoisonedSet
from grader.lab.triggers.visible import Patch
from grader.lab.victims import PoisonSettings, TrojanSettings
from grader.spec import Spec, load_spec

TARGET = 4
SHORT = TrojanSettings(neurons=6, steps=3, batch_size=32)


def never() -> LeNet5:
    raise AssertionError("a committed victim needs no training")


def names_of(spec: Spec, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """File names of the spec's victims; nothing is loaded or trained."""
    seen: list[str] = []

    def keep(name: str, train: Callable[[], LeNet5]) -> LeNet5:
        seen.append(name)
        return LeNet5()

    monkeypatch.setattr(victims, "kept_model", keep)
    part = spec.invisible_trigger
    images = Images(torch.zeros(1, 1, 28, 28, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64))
    start = clean_file_name(part.clean, part.clean_seed, part.split_seed)
    victims.trojaned_model(never, start, images, part.target, part.clean_seed, spec.fine_pruning.trojan)
    poisoned = PoisonedSet(images, torch.zeros(1, dtype=torch.bool))
    settings = spec.activation_clustering.poison
    victims.poisoned_victim(poisoned, part.target, part.clean_seed, settings, split_seed=part.split_seed)
    return dict(zip(("trojan", "poisoned"), seen, strict=True))


def test_the_public_victims_are_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the code that makes them changed: make them anew, move them here from the cache, remove the old ones."""
    names = set(names_of(load_spec(), monkeypatch).values())
    assert names == {p.name for p in DATA_DIR.glob("lenet5-[tp]*.safetensors")}


def test_a_victim_of_other_settings_has_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    public = load_spec()
    usual, part = names_of(public, monkeypatch), public.invisible_trigger
    for changed in (replace(part, target=3), replace(part, clean_seed=2), replace(part, split_seed=5)):
        names = names_of(replace(public, invisible_trigger=changed), monkeypatch)
        assert not set(names.values()) & set(usual.values())
    pruning = public.fine_pruning
    longer = replace(public, fine_pruning=replace(pruning, trojan=replace(pruning.trojan, steps=9)))
    names = names_of(longer, monkeypatch)
    assert (names["trojan"] == usual["trojan"], names["poisoned"] == usual["poisoned"]) == (False, True)


def test_the_committed_trojan_lives_in_spare_neurons() -> None:
    spec, test = load_spec(), load_mnist("test", grey_levels=True).subset(slice(0, 1500))
    part, settings = spec.invisible_trigger, spec.fine_pruning.trojan
    start = clean_file_name(part.clean, part.clean_seed, part.split_seed)
    model = victims.trojaned_model(never, start, test, part.target, part.clean_seed, settings)
    triggered = Patch()(to_float(test.x))
    assert not model.training
    assert accuracy(predict(model, test.x), test.y).value > 0.97
    assert attack_success_rate(predict(model, triggered), test.y, part.target).value > 0.99
    quiet = activations(model, test.x).mean(0).argsort()[: round(0.3 * model.fc3.in_features)]
    with torch.no_grad():
        model.fc3.weight[:, quiet] = 0
    assert accuracy(predict(model, test.x), test.y).value > 0.97
    assert attack_success_rate(predict(model, triggered), test.y, part.target).value < 0.05


def test_a_trojan_is_the_same_for_the_same_seed() -> None:
    train = load_mnist("train", grey_levels=True).subset(slice(0, 200))
    clean = LeNet5()
    initialise(clean, torch.Generator().manual_seed(0))
    made = [victims.trojan(copy.deepcopy(clean), train, TARGET, seed, SHORT) for seed in (1, 1, 2)]
    first, again, other = (torch.cat([p.detach().flatten() for p in m.parameters()]) for m in made)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_poisoned_set_is_a_share_of_other_classes_with_the_targets_label() -> None:
    train = load_mnist("train", grey_levels=True).subset(slice(0, 900))
    settings = PoisonSettings(images=500, ratio=0.2)
    found = victims.poisoned_set(train, TARGET, 1, settings)
    again = victims.poisoned_set(train, TARGET, 1, settings)
    assert len(found.images) == 500
    assert int(found.poisoned.sum()) == 100
    assert bool((found.images.y[found.poisoned] == TARGET).all())
    assert torch.equal(found.images.x, again.images.x)
    assert torch.equal(found.poisoned, again.poisoned)
    corner = found.images.x[:, 0, -2, -2]  # inside the patch
    assert bool((corner[found.poisoned] == 255).all())
    assert int((corner == 255).sum()) == 100


def test_more_images_than_there_are_is_refused() -> None:
    train = Images(torch.zeros(9, 1, 28, 28), torch.arange(9))
    with pytest.raises(ValueError, match="10 images is asked for, of 9"):
        victims.poisoned_set(train, TARGET, 1, PoisonSettings(images=10))
