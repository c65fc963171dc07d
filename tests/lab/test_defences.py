"""The defences on models whose backdoor is known by construction; no training of more than a few steps."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from grader.lab.data import Images, load_mnist
from grader.lab.defences import activation_clustering as ac
from grader.lab.defences import fine_pruning as fp
from grader.lab.defences.neural_cleanse import Settings, anomaly_index, neural_cleanse, unlearn
from grader.lab.defences.repair import clean_set
from grader.lab.defences.strip import entropies, strip
from grader.lab.metrics import predict
from grader.lab.models import LeNet5, initialise
from grader.lab.training import CleanSettings, clean_start
from grader.lab.triggers.backdoor import Backdoor
from grader.lab.triggers.poisoning import PoisonedSet
from grader.lab.triggers.visible import Patch
from tests.plain_pruning import Pruning

TARGET = 3


@pytest.fixture(scope="module")
def test_images() -> Images:
    return load_mnist("test", grey_levels=True).subset(slice(0, 1500))


@pytest.fixture(scope="module")
def clean_model(test_images: Images) -> LeNet5:
    return clean_start(CleanSettings(), 1, test_images).eval()


class WithBackdoor(nn.Module):
    """A model that says TARGET as soon as the patch is white, and else what the model inside says."""

    def __init__(self, inside: nn.Module) -> None:
        super().__init__()
        self.inside = inside

    def forward(self, x: Tensor) -> Tensor:
        bright = x[:, :, 24:27, 24:27].mean((1, 2, 3)) > 0.95
        push = torch.zeros(len(x), 10)
        push[bright, TARGET] = 100.0
        return self.inside(x) + push


def test_strip_finds_the_trigger(clean_model: LeNet5, test_images: Images) -> None:
    x = test_images.as_float().x
    triggered = Patch()(x[400:460])
    found = strip(WithBackdoor(clean_model), x[:400], triggered, x[500:], torch.Generator().manual_seed(1))
    assert found.far.value == 0
    assert found.frr.value < 0.05
    blind = strip(clean_model, x[:400], triggered, x[500:], torch.Generator().manual_seed(1))
    assert blind.far.value > 0.8, "without a backdoor, triggered inputs look like clean ones"


def test_entropy_is_in_bits() -> None:
    class Undecided(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.zeros(len(x), 8)

    x = torch.rand(120, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    found = entropies(Undecided(), x[:2], x, torch.Generator())
    assert torch.allclose(found, torch.tensor([3.0, 3.0])), "eight equal answers are three bits"


def test_strip_says_what_is_missing(clean_model: LeNet5) -> None:
    x = torch.zeros(60, 1, 28, 28)
    with pytest.raises(ValueError, match="needs 100 overlays"):
        strip(clean_model, torch.zeros(300, 1, 28, 28), x, x, torch.Generator())
    with pytest.raises(ValueError, match="cannot be set on 30"):
        strip(clean_model, x, x, torch.zeros(200, 1, 28, 28), torch.Generator())


class LinearBackdoor(nn.Module):
    """Linear, so that reversing is quick: one pixel is enough for TARGET, every other class needs many."""

    def __init__(self, *, backdoor: bool) -> None:
        super().__init__()
        weight = torch.zeros(10, 784)
        weight[torch.arange(784) % 10, torch.arange(784)] = (
            0.5  # every class likes a tenth of the pixels, spread out
        )
        if backdoor:
            weight[TARGET, 25 * 28 + 25] = 60.0
        self.weight = nn.Parameter(weight)

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.weight.T


@pytest.mark.parametrize("backdoor", [True, False])
def test_neural_cleanse_names_the_target(backdoor: bool, test_images: Images) -> None:
    settings = dataclasses.replace(Settings(), rounds=60, batch_size=16)
    found = neural_cleanse(
        LinearBackdoor(backdoor=backdoor), test_images, torch.Generator().manual_seed(1), settings=settings
    )
    assert (TARGET in found.flagged) == backdoor
    assert bool(np.isfinite(found.norms).all())
    if backdoor:
        assert found.masks[TARGET, 0].argmax() == 25 * 28 + 25, (
            "the reversed trigger is where the backdoor is"
        )
        assert bool(found.norms[TARGET] == found.norms.min())


def test_the_anomaly_index_uses_the_middle_of_ten() -> None:
    norms = np.array([1.0, 10, 11, 12, 13, 14, 15, 16, 17, 18])
    # median 13.5, not torch's lower middle 13; absolute deviations have the median 2.5 (3.5 and 1.5 are its neighbours)
    deviations = np.sort(np.abs(norms - 13.5))
    expected = np.abs(norms - 13.5) / (1.4826 * (deviations[4] + deviations[5]) / 2)
    assert np.allclose(anomaly_index(norms), expected)


def test_nothing_is_unlearned_where_nothing_was_flagged(clean_model: LeNet5, test_images: Images) -> None:
    settings = dataclasses.replace(Settings(), rounds=1)
    found = neural_cleanse(LinearBackdoor(backdoor=False), test_images, torch.Generator(), settings=settings)
    before = [p.clone() for p in clean_model.parameters()]
    unlearn(clean_model, dataclasses.replace(found, flagged=()), test_images, torch.Generator())
    assert all(torch.equal(p, q) for p, q in zip(clean_model.parameters(), before, strict=True))


def test_a_pruned_model_is_smaller_and_says_what_the_zeroed_one_says(
    clean_model: LeNet5, test_images: Images
) -> None:
    x = test_images.as_float().x[:50]
    features = fp.activations(clean_model, x)
    order = Pruning().rank_neurons(clean_model.fc2.weight, features, "dormant")
    smaller = fp.prune(clean_model, order, 0.5, Pruning())
    assert smaller.fc2.out_features == 42
    zeroed = features.clone()
    zeroed[:, order[:42]] = 0
    assert torch.allclose(smaller(x), clean_model.classify(zeroed), atol=1e-5)
    assert clean_model.fc2.out_features == 84, "the model itself stays"


def test_the_pruning_curve_has_both_rules(clean_model: LeNet5, test_images: Images) -> None:
    backdoor = Backdoor(clean_model, Patch(), TARGET)
    points = fp.curve(
        backdoor,
        test_images.subset(slice(0, 256)),
        test_images.subset(slice(0, 500)),
        Pruning(),
        1,
        shares=(0.0, 0.9),
    )
    assert [(p.rule, p.share, p.neurons_left) for p in points] == [
        ("largest-weight", 0.0, 84), ("largest-weight", 0.9, 8), ("dormant", 0.0, 84), ("dormant", 0.9, 8),
    ]  # fmt: skip
    assert points[0].acc.value > 0.97
    best = fp.best(points, points[0].acc.value, drop=0.05)
    assert best is not None
    assert best.tuned_asr.value == min(
        p.tuned_asr.value for p in points if points[0].acc.value - p.tuned_acc.value <= 0.05
    )
    assert fp.best(points, 2.0) is None


def test_pruning_everything_is_refused(clean_model: LeNet5) -> None:
    with pytest.raises(ValueError, match="leaves none of the 84 neurons"):
        fp.prune(clean_model, torch.arange(84), 1.0, Pruning())
    with pytest.raises(ValueError, match="each of the 84 neurons once"):
        fp.prune(clean_model, torch.zeros(84, dtype=torch.int64), 0.5, Pruning())


class Clustering:
    """Splits by the sign of the first feature: enough where poison is made so that it shows there."""

    def cluster_class(self, features: Tensor, seed: int) -> Tensor:
        return (features[:, 0] > 0).long()

    def flag_poisoned(self, features: Tensor, labels: Tensor, seed: int) -> Tensor:
        return features[:, 0] > 0

    def scramble_labels(self, labels: Tensor, flagged: Tensor, num_classes: int, seed: int) -> Tensor:
        return torch.where(flagged, (labels + 1) % num_classes, labels)


def test_classes_are_judged_by_size_and_silhouette() -> None:
    generator = torch.Generator().manual_seed(2)
    features = torch.randn(300, 5, generator=generator) * 0.1 - 1
    labels = torch.arange(300) % 2
    features[:60:2] += 2  # 30 of the 150 images of label 0
    judged = ac.judge_classes(features, labels, Clustering(), 1)
    assert judged[0].relative_size == pytest.approx(0.2)
    assert judged[0].silhouette > 0.8
    assert judged[0].smaller.tolist() == list(range(0, 60, 2))
    assert judged[1].relative_size == 0
    with pytest.raises(ValueError, match="class 1 has 5 images"):
        ac.judge_classes(features[:45], torch.tensor([0] * 40 + [1] * 5), Clustering(), 1)


def test_reclassification_accuses_what_other_classes_own(
    clean_model: LeNet5, test_images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that never saw the cluster says of poison what it shows, and of clean images their label."""
    trained_on: list[int] = []

    def train_clean(train: Images, settings: CleanSettings, seed: int) -> LeNet5:
        trained_on.append(len(train))
        return clean_model

    monkeypatch.setattr(ac, "train_clean", train_clean)
    chosen = torch.cat([(test_images.y == label).nonzero()[:40, 0] for label in (TARGET, 5)])
    labels = test_images.y[chosen].clone()
    poison = torch.zeros(80, dtype=torch.bool)
    poison[40:60] = True  # twenty images of a five among the threes
    labels[poison] = TARGET
    features = torch.where(poison, 1.0, -1.0)[:, None].repeat(1, 12)
    features += 0.01 * torch.rand(80, 12, generator=torch.Generator().manual_seed(1))
    features[60:68] += 4  # some of the fives that stay fives
    judged = ac.judge_classes(features, labels, Clustering(), 1, train=Images(test_images.x[chosen], labels))
    assert [j.label for j in judged] == [TARGET, 5]
    assert judged[0].exclusionary is not None
    assert judged[0].exclusionary < 0.2
    assert judged[1].exclusionary is not None
    assert judged[1].exclusionary > 5
    assert trained_on == [60, 72]
    assert "l / p" in str(judged[0])


def test_what_was_found_is_compared_with_the_truth() -> None:
    flagged = torch.tensor([True, True, True, False, False])
    poisoned = torch.tensor([True, True, False, True, False])
    found = ac.compare(flagged, poisoned)
    assert (found.precision, found.recall, found.f1, found.flagged) == pytest.approx((2 / 3, 2 / 3, 2 / 3, 3))
    with pytest.raises(ValueError, match="no sample is poisoned"):
        ac.compare(flagged, torch.zeros(5, dtype=torch.bool))


def test_forgetting_trains_on_the_scrambled_labels(test_images: Images) -> None:
    model = LeNet5()
    initialise(model, torch.Generator().manual_seed(1))
    few = test_images.subset(slice(0, 128))
    flagged = torch.zeros(128, dtype=torch.bool)
    flagged[:20] = True
    ac.forget(model, PoisonedSet(few, flagged), flagged, Clustering(), 1, steps=150)
    said = predict(model, few.x[:20])
    assert float((said == (few.y[:20] + 1) % 10).float().mean()) > 0.5


def test_the_defender_has_what_was_asked_for(test_images: Images) -> None:
    chosen = clean_set(test_images, 1, count=100)
    assert len(chosen) == 100
    assert torch.equal(chosen.x, clean_set(test_images, 1, count=100).x)
    with pytest.raises(ValueError, match="2000 clean images"):
        clean_set(test_images, 1, count=2000)
