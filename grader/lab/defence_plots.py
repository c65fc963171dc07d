"""The pictures of part 3: what pruning does, by rule, and the clusters of a poisoned and of a clean class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from matplotlib import pyplot as plt
from torch import Tensor

from grader.lab.plots import ACC_COLOUR, ASR_COLOUR, save_figure

SHOWN = 1500
"""Images of a class that are drawn; more would only cover each other."""


def plot_pruning(
    curves: Mapping[str, Sequence[tuple[float, float, float]]], share: float, path: Path
) -> None:
    """ACC and ASR against the share of neurons pruned, one panel a rule.

    Args:
        curves: rule -> points (share pruned, ACC, ASR), shares ascending.
        share: the share that the grader prunes, which is marked.
    """
    figure, panels = plt.subplots(1, len(curves), figsize=(8.4, 3.3), sharey=True, squeeze=False)
    figure.subplots_adjust(left=0.08, right=0.98, bottom=0.15, top=0.84, wspace=0.06)
    for axes, (rule, points) in zip(panels[0], curves.items(), strict=True):
        shares, acc, asr = zip(*points, strict=True)
        axes.axvline(share, color="#999999", linewidth=1, linestyle=":", label="pruned by the grader")
        axes.plot(shares, acc, "o-", color=ACC_COLOUR, markersize=4, label="ACC (clean)")
        axes.plot(shares, asr, "s--", color=ASR_COLOUR, markersize=4, label="ASR (triggered)")
        axes.set_title(f"rule: {rule}", fontsize=10)
        axes.set_xlabel("share of the neurons pruned")
        axes.set_ylim(-0.03, 1.03)
        axes.grid(alpha=0.3)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncols=3, frameon=False, fontsize=9)
    save_figure(figure, path)


def plot_clusters(classes: Mapping[int, tuple[Tensor, Tensor, Tensor]], target: int, path: Path) -> None:
    """Activations of given classes in their first two principal components, with what was flagged and what is poison.

    Args:
        classes: given label -> features (n, D), flagged (n,) bool, poisoned (n,) bool.
        target: the label of the poison.
    """
    figure, panels = plt.subplots(1, len(classes), figsize=(8.4, 3.6), squeeze=False)
    figure.subplots_adjust(left=0.07, right=0.98, bottom=0.14, top=0.85, wspace=0.16)
    looks = (
        (False, False, "clean", ACC_COLOUR, "o"),
        (True, True, "poison, flagged", ASR_COLOUR, "s"),
        (False, True, "poison, missed", "#000000", "x"),
        (True, False, "clean, flagged", "#cc79a7", "^"),
    )
    handles = {}
    for axes, (label, (features, flagged, poisoned)) in zip(panels[0], classes.items(), strict=True):
        points = _principal(features)
        for is_flagged, is_poison, name, colour, marker in looks:
            chosen = (flagged == is_flagged) & (poisoned == is_poison)
            x, y = points[chosen][:SHOWN].T
            size = 9 if is_flagged == is_poison else 22  # mistakes are few and must be seen
            handles[name] = axes.scatter(x, y, s=size, color=colour, marker=marker, alpha=0.7, linewidths=0.9)
        what = "the target" if label == target else "another class"
        axes.set_title(
            f"labelled {label}, {what}: {int(flagged.sum())} of {len(flagged)} flagged", fontsize=10
        )
        axes.set_xlabel("first principal component", fontsize=9)
    panels[0][0].set_ylabel("second principal component", fontsize=9)
    figure.legend(handles.values(), handles.keys(), loc="upper center", ncols=4, frameon=False, fontsize=9)
    save_figure(figure, path)


def _principal(features: Tensor) -> Tensor:
    """(n, D) -> (n, 2): the two directions of the largest variance."""
    centred = features.double() - features.double().mean(0)
    directions = torch.linalg.eigh(centred.T @ centred).eigenvectors[:, -2:].flip(1)
    return centred @ directions
