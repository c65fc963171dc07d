"""Activation Clustering (Chen et al. 2018): in a poisoned class, poison and clean images fall into two clusters.

For every *given* label, the penultimate layer's activations are reduced by ICA to 10 values and split by 2-means. How a
class is split, which images are taken for poison, and how their labels are scrambled is the exercise; here is the
experiment around it: the three ways to judge a cluster (section 5), what was found, and what forgetting does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from grader.lab.data import Images
from grader.lab.defences.fine_pruning import activations
from grader.lab.defences.repair import fine_tune
from grader.lab.metrics import predict
from grader.lab.models import LeNet5
from grader.lab.training import CleanSettings, train_clean
from grader.lab.triggers.poisoning import PoisonedSet

LEAST_SAMPLES = 20
"""A class with fewer images than this is not clustered."""


class Algorithm(Protocol):
    """The exercise's three functions; see the assignment's ``activation_clustering.py``."""

    def cluster_class(self, features: Tensor, seed: int) -> Tensor: ...

    def flag_poisoned(self, features: Tensor, labels: Tensor, seed: int) -> Tensor: ...

    def scramble_labels(self, labels: Tensor, flagged: Tensor, num_classes: int, seed: int) -> Tensor: ...


@dataclass(frozen=True)
class ClassJudgement:
    """One class, split in two.

    Attributes:
        smaller: positions in the training set of the smaller cluster, (n,).
        relative_size: of the smaller cluster, in the class. The paper's poison is below 0.35; a tenth of MNIST, all
            with one label, is about half of that label's images.
        silhouette: how well the two clusters are apart in ten principal components (-1 to 1): about 0.3 in clean
            classes of MNIST, more in poisoned ones.
        exclusionary: l / p of exclusionary reclassification; below 1 means poison. None: it was not asked for.
    """

    label: int
    smaller: Tensor
    relative_size: float
    silhouette: float
    exclusionary: float | None

    def __str__(self) -> str:
        text = (
            f"label {self.label}: smaller cluster {self.relative_size:.1%}, silhouette {self.silhouette:.2f}"
        )
        return text if self.exclusionary is None else f"{text}, l / p {self.exclusionary:.2f}"


@dataclass(frozen=True)
class Found:
    """Poison found against the truth."""

    precision: float
    recall: float
    f1: float
    flagged: int


def judge_classes(
    features: Tensor,
    labels: Tensor,
    algorithm: Algorithm,
    seed: int,
    *,
    train: Images | None = None,
    progress: Callable[[int, int, float], None] | None = None,
) -> list[ClassJudgement]:
    """Cluster every class and judge its smaller cluster by size, silhouette and, with ``train``, reclassification.

    Args:
        features: (N, D) activations of the training set; labels: (N,) as given.
        train: the training set; exclusionary reclassification trains a model for each class, so leave it out if the
            two quick measures are enough.

    Raises:
        ValueError: a class has too few images to cluster.
    """
    found = []
    classes = labels.unique().tolist()
    for done, label in enumerate(classes, start=1):
        members = (labels == label).nonzero()[:, 0]
        if len(members) < LEAST_SAMPLES:
            raise ValueError(
                f"class {label} has {len(members)} images; clustering needs {LEAST_SAMPLES}: leave it out"
            )
        split = algorithm.cluster_class(features[members], seed).bool()
        small = split if split.float().mean() <= 0.5 else ~split
        silhouette = _silhouette(features[members], small, seed) if bool(small.any()) else -1.0
        smaller = members[small]
        exclusionary = None if train is None else _exclusionary(train, smaller, int(label), seed)
        found.append(
            ClassJudgement(int(label), smaller, float(small.float().mean()), silhouette, exclusionary)
        )
        if progress is not None:
            progress(done, len(classes), silhouette)
    return found


def _silhouette(features: Tensor, cluster: Tensor, seed: int) -> float:
    """Of the two clusters in the first ten principal components: distances in all 84 dimensions are mostly noise."""
    from sklearn.decomposition import PCA
    from sklearn.metrics import silhouette_score

    reduced = PCA(min(10, *features.shape), random_state=seed).fit_transform(features.double().numpy())
    size = min(2000, len(reduced))
    return float(silhouette_score(reduced, cluster.numpy(), sample_size=size, random_state=seed))


def _exclusionary(train: Images, cluster: Tensor, label: int, seed: int) -> float:
    """Retrain without the cluster, then classify it: as often as its given label over as the commonest other one."""
    rest = torch.ones(len(train), dtype=torch.bool)
    rest[cluster] = False
    if len(cluster) == 0:
        return float("inf")
    model = train_clean(train.subset(rest), CleanSettings(epochs=1), seed)
    counts = torch.bincount(predict(model, train.x[cluster]), minlength=10)
    own = int(counts[label])
    counts[label] = 0
    return own / max(int(counts.max()), 1)


def compare(flagged: Tensor, poisoned: Tensor) -> Found:
    """Precision, recall and F1 of what was flagged, both (N,) bool.

    Raises:
        ValueError: there is no poison to find.
    """
    flagged, poisoned = flagged.cpu(), poisoned.cpu()
    if not bool(poisoned.any()):
        raise ValueError("no sample is poisoned: recall and F1 have no meaning")
    hits = int((flagged & poisoned).sum())
    precision = hits / max(int(flagged.sum()), 1)
    recall = hits / int(poisoned.sum())
    f1 = 2 * precision * recall / max(precision + recall, 1e-12)
    return Found(precision, recall, f1, int(flagged.sum()))


def forget(
    model: LeNet5,
    poisoned: PoisonedSet,
    flagged: Tensor,
    algorithm: Algorithm,
    seed: int,
    *,
    steps: int = 450,
) -> None:
    """Scramble the flagged labels and fine-tune ``model`` in place on the whole set, so that it forgets the trigger."""
    x, y = poisoned.images.x, poisoned.images.y
    labels = algorithm.scramble_labels(y.cpu(), flagged, 10, seed).to(y.device)
    generator = torch.Generator().manual_seed(seed)
    fine_tune(model, Images(x, labels), generator, steps=steps, learning_rate=2e-3)


def features_of(model: LeNet5, poisoned: PoisonedSet) -> Tensor:
    """The training set's activations, (N, 84), on the CPU, where they are clustered."""
    return activations(model, poisoned.images.x).cpu()
