"""Activation Clustering and STRIP beside ART's, on one backdoored model and the same data: time and what was found.

ART (adversarial-robustness-toolbox, 1.20.1 read) is run with its defaults and with the closest correct setting:

- its ``ActivationDefence`` looks at the *last* child of the model, which is the logits, and takes the smaller cluster
  of *every* class for poison. Closest: a model whose last child is the penultimate layer, and each of its other three
  ways to judge a cluster.
- its STRIP takes what the classifier returns for probabilities; ``PyTorchClassifier`` returns logits. And it calls
  ``scipy.stats.entropy`` with ``axis=0``, over the overlays instead of over the classes. Closest: a model that ends in
  a softmax, and 100 overlays. The axis is no setting; what it costs is shown with the axis put right in the running
  module.
"""

from __future__ import annotations

import contextlib
import io
import logging
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn

import solution.activation_clustering as ours
from grader.lab.data import Images, load_mnist, to_float
from grader.lab.defences.activation_clustering import compare, features_of
from grader.lab.defences.repair import clean_set
from grader.lab.defences.strip import strip
from grader.lab.metrics import to_8bit
from grader.lab.models import LeNet5
from grader.lab.training import train_clean
from grader.lab.triggers.backdoor import Backdoor, rates
from grader.lab.triggers.poisoning import SETTINGS, PoisonedSet, poison
from grader.lab.triggers.visible import Patch

TARGET, SEED, INPUTS, FRR = 7, 1, 500, 0.01


def bench_defences(runs: int) -> None:
    """Both defences; ``runs`` of each alternative, turn by turn."""
    train, test = (load_mnist(split, grey_levels=True) for split in ("train", "test"))
    torch.set_num_threads(2)
    generator = torch.Generator().manual_seed(SEED)
    poisoned = poison(train, Patch(), TARGET, generator)
    model = train_clean(poisoned.images, SETTINGS, SEED).eval()
    acc, asr = rates(Backdoor(model, Patch(), TARGET), test)
    print(f"BadNets on LeNet-5, a tenth of MNIST poisoned: ACC {acc.value:.2%}, ASR {asr.value:.2%}")
    _side_by_side(_clusterings(model, poisoned), runs)
    print()
    print(
        f"STRIP, {INPUTS} clean inputs for the threshold, {INPUTS} clean and {INPUTS} triggered ones judged:"
    )
    _side_by_side(_strips(model, clean_set(train, SEED), test), runs)


def _side_by_side(alternatives: dict[str, Callable[[], str]], runs: int) -> None:
    """Each alternative's median time, and what it found in the last run."""
    seconds: dict[str, list[float]] = {name: [] for name in alternatives}
    found = dict.fromkeys(alternatives, "")
    for _ in range(runs):
        for name, run in alternatives.items():
            started = time.perf_counter()
            found[name] = run()
            seconds[name].append(time.perf_counter() - started)
    first = statistics.median(next(iter(seconds.values())))
    for name, times in seconds.items():
        middle = statistics.median(times)
        print(f"  {name:44}{middle:7.2f} s, {middle / first:5.2f} of ours   {found[name]}")


def _clusterings(model: LeNet5, poisoned: PoisonedSet) -> dict[str, Callable[[], str]]:
    x = to_float(poisoned.images.x).numpy()
    labels = poisoned.images.y

    def said(flagged: Tensor) -> str:
        found = compare(flagged, poisoned.poisoned)
        return f"precision {found.precision:.3f}, recall {found.recall:.3f}, F1 {found.f1:.3f}"

    def own() -> str:
        return said(ours.flag_poisoned(features_of(model, poisoned), labels, SEED))

    def art(network: nn.Module, classes: int, **settings: Any) -> str:
        from art.defences.detector.poison import ActivationDefence

        with _quiet():
            defence = ActivationDefence(_classifier(network, classes), x, labels.numpy())
            try:
                _, is_clean = defence.detect_poison(**settings)
            except (
                ValueError
            ) as error:  # 1.20.1 asks for the truth of an empty array, which NumPy 2.2 refuses
                return f"does not run: {error}"[:60]
        return said(torch.tensor(is_clean) == 0)

    print("Activation Clustering, 60,000 images:")
    return {
        "ours": own,
        "ART, defaults (logits, the smaller cluster)": lambda: art(model, 10),
        **{
            f"ART, penultimate layer, {analysis}": lambda a=analysis: art(  # type: ignore[misc]
                _Penultimate(model), 10, cluster_analysis=a
            )
            for analysis in ("smaller", "relative-size", "silhouette-scores", "distance")
        },
    }


class _Penultimate(nn.Module):
    """A network whose last, and only, child is everything up to the penultimate layer."""

    def __init__(self, model: LeNet5) -> None:
        super().__init__()
        self.penultimate = _Features(model)

    def forward(self, x: Tensor) -> Tensor:
        return self.penultimate(x)


class _Features(nn.Module):
    def __init__(self, model: LeNet5) -> None:
        super().__init__()
        self._of = [model]  # in a list: no child of its own, or ART would take that one's last layer

    def forward(self, x: Tensor) -> Tensor:
        return self._of[0].features(x)


def _strips(model: LeNet5, clean: Images, test: Images) -> dict[str, Callable[[], str]]:
    x, y = to_float(test.x[: 4 * INPUTS]), test.y[: 4 * INPUTS]
    threshold_inputs, judged = x[:INPUTS], x[INPUTS : 2 * INPUTS]
    triggered = to_8bit(Patch()(x[2 * INPUTS :][y[2 * INPUTS :] != TARGET][:INPUTS]))
    overlays = to_float(clean.x)

    def own() -> str:
        generator = torch.Generator().manual_seed(SEED)
        found = strip(model, x[: 2 * INPUTS], triggered, overlays, generator, frr=FRR)
        return f"FRR {found.frr.value:.1%}, FAR {found.far.value:.1%}"

    def art(network: nn.Module, samples: int) -> str:
        from art.defences.transformer.poisoning import STRIP

        with _quiet():
            defence = STRIP(_classifier(network, 10))(num_samples=samples, false_acceptance_rate=FRR)
            try:
                defence.mitigate(threshold_inputs.numpy())
            except ValueError as error:  # the entropy of logits is not a number
                return f"does not run: {error}"[:60]
            rejected = [(defence.predict(part.numpy()) == 0).all(1).mean() for part in (judged, triggered)]
        return f"FRR {rejected[0]:.1%}, FAR {1 - rejected[1]:.1%}"

    def right_axis(network: nn.Module, samples: int) -> str:
        from art.estimators.poison_mitigation.strip import strip as module
        from scipy.stats import entropy

        with mock.patch.object(module, "entropy", lambda p, base, axis: entropy(p, base=base, axis=1)):
            return art(network, samples)

    softmax = nn.Sequential(model, nn.Softmax(1))
    return {
        "ours, 100 overlays": own,
        "ART, defaults (logits, 20 overlays)": lambda: art(model, 20),
        "ART, softmax, 100 overlays": lambda: art(softmax, 100),
        "ART, the same, entropy over the classes": lambda: right_axis(softmax, 100),
    }


def _classifier(network: nn.Module, classes: int) -> Any:
    from art.estimators.classification import PyTorchClassifier

    return PyTorchClassifier(
        network.eval(), nn.CrossEntropyLoss(), input_shape=(1, 28, 28), nb_classes=classes, clip_values=(0.0, 1.0),
        device_type="cpu",
    )  # fmt: skip


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """ART draws progress bars and warns of what is measured here."""
    logging.getLogger("art").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield
