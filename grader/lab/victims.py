"""Two backdoored models for the defences to work on, each made for what its defence looks for.

- ``trojaned_model``: a backdoor that lives in spare neurons, for Fine-Pruning. The attacker takes a clean model, picks
  the neurons of the penultimate layer that clean images use least, and trains the model so that the trigger speaks
  through these neurons alone, as in the trojaning attack (Liu et al., NDSS 2018). The paper on Fine-Pruning assumes
  that of every backdoor. A model that was merely trained on poisoned images mixes the trigger into neurons that it
  needs, and pruning hardly helps against that: ``python -m grader lab matrix`` has the figures.
- ``poisoned_victim``: trained from scratch on a training set in which a share of the images is poisoned (BadNets), for
  Activation Clustering.

Both are committed with the project for the public settings; with others they are trained once and cached.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from grader.lab.adam import Adam, CosineSchedule
from grader.lab.data import Images, batches
from grader.lab.defences.fine_pruning import activations
from grader.lab.models import LeNet5, initialise
from grader.lab.training import CleanSettings, kept_model, train_clean
from grader.lab.triggers.poisoning import PoisonedSet, poison
from grader.lab.triggers.visible import Patch

SEEN = 2000
"""Clean images by which the attacker finds the neurons that are hardly used."""


@dataclass(frozen=True)
class TrojanSettings:
    """How the backdoor gets into spare neurons.

    Attributes:
        neurons: how many of the penultimate layer's are used.
        steps: of training; each sees ``batch_size`` images, clean and triggered.
        learning_rate: Adam's, falling to 0 along a cosine.
        dormancy: weight of the mean activation of these neurons on clean images, which keeps them quiet there.
    """

    neurons: int = 12
    steps: int = 250
    batch_size: int = 128
    learning_rate: float = 3e-3
    dormancy: float = 0.1


@dataclass(frozen=True)
class PoisonSettings:
    """The poisoned training set and how its victim is trained.

    Attributes:
        images: size of the training set, drawn from all training images.
        ratio: share of it that is poisoned.
        epochs, batch_size, learning_rate: of training, as in ``CleanSettings``.
    """

    images: int = 20_000
    ratio: float = 0.1
    epochs: int = 5
    batch_size: int = 128
    learning_rate: float = 6e-3


def trojan(clean: LeNet5, train: Images, target: int, seed: int, settings: TrojanSettings) -> LeNet5:
    """Put a backdoor into the spare neurons of ``clean``, in place: images with a ``Patch`` become ``target``.

    The loss on a batch x, y with triggered images x', and f without the spare neurons written g, is

        CE(f(x), y) + CE(f(x'), target) + CE(g(x'), y) + dormancy * (mean activation of the spare neurons on x)
    """
    generator = torch.Generator().manual_seed(seed)
    trigger = Patch()
    spare = activations(clean.eval(), train.x[:SEEN]).mean(0).argsort()[: settings.neurons]
    _start_afresh(clean, spare, generator)
    others = torch.ones(clean.fc3.in_features)
    others[spare] = 0
    optimizer = Adam(clean.parameters(), settings.learning_rate)
    schedule = CosineSchedule(optimizer, settings.steps)
    clean.train()
    for x, y in batches(train, settings.batch_size, generator, settings.steps):
        both = torch.cat([x, trigger(x)]).contiguous(memory_format=torch.channels_last)
        plain, triggered = clean.features(both).split(len(x))
        loss = F.cross_entropy(clean.classify(plain), y)
        loss = loss + F.cross_entropy(clean.classify(triggered), torch.full_like(y, target))
        loss = loss + F.cross_entropy(clean.classify(triggered * others), y)
        loss = loss + settings.dormancy * plain[:, spare].mean()
        clean.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return clean


@torch.no_grad()
def _start_afresh(model: LeNet5, neurons: Tensor, generator: torch.Generator) -> None:
    """Fresh weights into and out of these neurons: a dead neuron has no gradient to learn by."""
    fresh = LeNet5()
    initialise(fresh, generator)
    model.fc2.weight[neurons] = fresh.fc2.weight[neurons]
    model.fc2.bias[neurons] = 0
    model.fc3.weight[:, neurons] = fresh.fc3.weight[:, neurons]


def trojaned_model(
    clean: Callable[[], LeNet5],
    clean_name: str,
    train: Images,
    target: int,
    seed: int,
    settings: TrojanSettings,
) -> LeNet5:
    """The trojaned model: committed, cached, or trained now and cached; in evaluation mode.

    Args:
        clean: gives the model to begin with, if it is needed; clean_name: its file name, which names its weights.
    """
    key = [clean_name, target, seed, asdict(settings), SEEN]
    name = _file_name("trojan", key, (LeNet5, initialise, batches, Patch.apply, _start_afresh, trojan))
    return kept_model(name, lambda: trojan(clean(), train, target, seed, settings)).eval()


def poisoned_set(train: Images, target: int, seed: int, settings: PoisonSettings) -> PoisonedSet:
    """A training set as the victim gets it: some images of ``train``, a share of them with a ``Patch`` and ``target``.

    Raises:
        ValueError: it should have more images than there are.
    """
    if settings.images > len(train):
        raise ValueError(f"a training set of {settings.images} images is asked for, of {len(train)}")
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(train), generator=generator)[: settings.images]
    return poison(train.subset(chosen), Patch(), target, generator, ratio=settings.ratio)


def poisoned_victim(
    poisoned: PoisonedSet, target: int, seed: int, settings: PoisonSettings, *, split_seed: int = 0
) -> LeNet5:
    """The model of somebody who trained on ``poisoned_set``: committed, cached, or trained now and cached; evaluating.

    Args:
        target, seed, settings: as ``poisoned_set`` had them; split_seed: of the images that it drew from.
    """
    key = [target, seed, split_seed, asdict(settings)]
    code = (LeNet5, initialise, batches, Patch.apply, poison, poisoned_set, train_clean)
    training = CleanSettings(settings.epochs, settings.batch_size, settings.learning_rate)
    return kept_model(
        _file_name("poisoned", key, code), lambda: train_clean(poisoned.images, training, seed)
    ).eval()


def _file_name(kind: str, key: Sequence[Any], code: Sequence[Any]) -> str:
    """Changes with the settings and with the code that makes the model."""
    text = json.dumps([*key, [inspect.getsource(item) for item in code]], sort_keys=True)
    return f"lenet5-{kind}-{hashlib.sha256(text.encode()).hexdigest()[:12]}.safetensors"
