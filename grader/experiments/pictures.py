"""What the defences look like: entropies, reversed triggers, pruning curves, clusters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
import torch
from matplotlib import pyplot as plt
from torch import Tensor

from grader.lab.defences.activation_clustering import ClassJudgement
from grader.lab.defences.fine_pruning import RULES, Point
from grader.lab.defences.neural_cleanse import THRESHOLD, Reversed
from grader.lab.defences.strip import Strip
from grader.lab.plots import LINES, save_figure, side_by_side, without_ticks
from grader.lab.triggers.poisoning import PoisonedSet

if TYPE_CHECKING:
    from grader.experiments.matrix_table import Grid

SHOWN = 1500
"""Points of a scatter plot."""


def plot_entropies(found: Strip, path: Path) -> None:
    """Histograms of STRIP's entropies, clean and triggered, with the threshold."""
    figure, axes = plt.subplots(figsize=(7.2, 4.0))
    figure.subplots_adjust(left=0.1, right=0.97, bottom=0.14, top=0.88)
    highest = float(torch.cat([found.clean, found.triggered]).max()) or 1.0
    bins = np.linspace(0, highest, 40).tolist()
    for values, (colour, _), name in zip(
        (found.clean, found.triggered), LINES, ("clean", "triggered"), strict=False
    ):
        weights = np.full(len(values), 1 / len(values))
        axes.hist(values.numpy(), bins, weights=weights, alpha=0.6, color=colour, label=name)
    axes.axvline(found.threshold, color="#333333", linestyle="--", linewidth=1, label="threshold")
    axes.set_xlabel("entropy under overlays, in bits")
    axes.set_ylabel("share of inputs")
    axes.yaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(1.0))
    axes.legend()
    figure.suptitle(
        f"STRIP: rejects {found.frr} of clean inputs, accepts {found.far} of triggered ones", fontsize=10
    )
    save_figure(figure, path)


def plot_reversed(found: Reversed, path: Path) -> None:
    """The ten reversed triggers (mask times pattern), with norm and anomaly index; flagged classes are named."""
    classes = len(found.norms)
    figure, rows = plt.subplots(2, 1, figsize=(1.15 * classes + 1.0, 3.6))
    figure.subplots_adjust(left=0.06, right=0.99, bottom=0.02, top=0.72, hspace=0.12)
    shown = {
        "mask": found.masks[:, 0].numpy(),
        "mask x\npattern": (found.masks * found.patterns)[:, 0].numpy(),
    }
    for axes, (name, pictures) in zip(rows, shown.items(), strict=True):
        axes.imshow(side_by_side(pictures), cmap="gray", vmin=0, vmax=1)
        axes.set_ylabel(name, fontsize=9)
        axes.set_frame_on(False)
    width = found.masks.shape[3]
    for k in range(classes):
        mark = " flagged" if k in found.flagged else ""
        rows[0].text(
            k * (width + 2) + width / 2, -2, f"{k}{mark}\n|m| {found.norms[k]:.1f}\nindex {found.indices[k]:.1f}",
            ha="center", va="bottom", fontsize=8,
        )  # fmt: skip
    without_ticks(*rows)
    figure.suptitle(
        f"Neural Cleanse: a trigger for each class; flagged: small mask, index above {THRESHOLD:g}",
        fontsize=10,
    )
    save_figure(figure, path)


def plot_pruning(points: Sequence[Point], path: Path) -> None:
    """ACC and ASR against the share pruned, both rules, before and after fine-tuning."""
    figure, both = plt.subplots(1, 2, figsize=(9.6, 4.0), sharey=True)
    figure.subplots_adjust(left=0.08, right=0.98, bottom=0.14, top=0.86, wspace=0.06)
    for axes, rule in zip(both, RULES, strict=True):
        chosen = [p for p in points if p.rule == rule]
        x = [p.share for p in chosen]
        lines = (
            ("ACC", [p.acc for p in chosen]), ("ASR", [p.asr for p in chosen]),
            ("ACC, fine-tuned", [p.tuned_acc for p in chosen]), ("ASR, fine-tuned", [p.tuned_asr for p in chosen]),
        )  # fmt: skip
        for (name, found), (colour, style) in zip(lines, LINES, strict=False):
            axes.plot(x, [r.value for r in found], style, color=colour, label=name, markersize=4)
        axes.set_title(f"rule: {rule}", fontsize=10)
        axes.set_xlabel("share of the neurons pruned")
        axes.grid(alpha=0.3)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(matplotlib.ticker.PercentFormatter(1.0))
    both[0].set_ylim(-0.03, 1.03)
    both[0].legend(fontsize=8, loc="lower left")
    figure.suptitle("Fine-Pruning", fontsize=11)
    save_figure(figure, path)


def plot_clusters(
    features: Tensor, poisoned: PoisonedSet, judged: Sequence[ClassJudgement], path: Path
) -> None:
    """Every class's activations on their first two principal components, poison marked."""
    from sklearn.decomposition import PCA

    count = len(judged)
    figure, grid = plt.subplots(2, (count + 1) // 2, figsize=(2.3 * ((count + 1) // 2), 5.2), squeeze=False)
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.02, top=0.84, wspace=0.05, hspace=0.3)
    for axes in grid.flat[count:]:
        axes.set_visible(False)
    for axes, judgement in zip(grid.flat, judged, strict=False):
        members = (poisoned.images.y == judgement.label).nonzero()[:, 0][:SHOWN]
        at = PCA(2, random_state=0).fit_transform(features[members].numpy())
        bad = poisoned.poisoned[members].numpy()
        axes.scatter(*at[~bad].T, s=4, color=LINES[0][0], label="clean")
        axes.scatter(*at[bad].T, s=4, color=LINES[1][0], marker="s", label="poisoned")
        axes.set_title(
            f"label {judgement.label}: smaller {judgement.relative_size:.0%},\nsilhouette {judgement.silhouette:.2f}",
            fontsize=8,
        )
        without_ticks(axes)
    figure.legend(*grid.flat[0].get_legend_handles_labels(), loc="upper right", fontsize=8, ncols=2)
    figure.suptitle(
        "Activation Clustering: activations by given label, two principal components", fontsize=10, x=0.4
    )
    save_figure(figure, path)


def plot_matrix(found: Grid, path: Path) -> None:
    """The attack x defence matrix: coloured by the ASR that is left; below it, the false alarms on clean models."""
    from grader.experiments.matrix_table import Cell

    rows, columns = len(found.attacks), len(found.defences)
    values = np.array([[float(np.mean(c.asr)) if c.asr else np.nan for c in cells] for cells in found.cells])
    figure, axes = plt.subplots(figsize=(1.5 + 1.75 * columns, 1.5 + 0.8 * (rows + 1)))
    inches = figure.get_size_inches()
    figure.subplots_adjust(left=1.3 / inches[0], right=0.995, bottom=0.01, top=1 - 1.05 / inches[1])
    axes.imshow(
        np.vstack([values, np.full(columns, np.nan)]), cmap="Oranges", vmin=0, vmax=1.5, aspect="auto"
    )

    def text(cell: Cell) -> str:
        if not cell.asr:
            return cell.verdict.replace(": ", ":\n")
        numbers = f"ASR {np.mean(cell.asr):.1%}\nACC {np.mean(cell.acc):.1%}"
        return f"{numbers}\n{_without_spread(cell.verdict)}" if cell.verdict else numbers

    for i, cells in enumerate(found.cells):
        for j, cell in enumerate(cells):
            axes.text(j, i, text(cell), ha="center", va="center", fontsize=9, linespacing=1.25)
    for j, said in enumerate(found.alarms):
        axes.text(j, rows, said.replace(" (", "\n("), ha="center", va="center", fontsize=9, linespacing=1.25)
    axes.axhline(rows - 0.5, color="#333333", linewidth=1)
    axes.axvline(0.5, color="#333333", linewidth=1)
    axes.set_xticks(
        range(columns),
        [d.replace(", ", ",\n").replace("n C", "n\nC").replace("l C", "l\nC") for d in found.defences],
    )
    axes.set_yticks(
        range(rows + 1), [a.replace("_", "\n") for a in found.attacks] + ["clean models:\nfalse alarms"]
    )
    axes.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0, labelsize=9.5)
    for side in axes.spines.values():
        side.set_visible(False)
    figure.suptitle("What is left of each attack after each defence, and what the defence says", fontsize=11)
    save_figure(figure, path)


def plot_frontier(
    series: Mapping[str, Sequence[tuple[int, Sequence[float], Sequence[float]]]],
    path: Path,
    *,
    least_asr: float,
    largest_drop: float,
) -> None:
    """ASR and ACC drop against epsilon, one line a method: means over seeds, bars from lowest to highest.

    Args:
        series: method -> (epsilon in grey levels, the ASRs, the ACC drops), rates in [0, 1].
        least_asr, largest_drop: the goals, drawn as lines.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 4.0))
    figure.subplots_adjust(left=0.08, right=0.99, bottom=0.14, top=0.86, wspace=0.22)
    levels = sorted({point[0] for points in series.values() for point in points})
    for (name, points), (colour, style) in zip(series.items(), LINES, strict=False):
        for axes, which, scale in ((left, 1, 1.0), (right, 2, 100.0)):
            found = [scale * np.array(point[which]) for point in points]
            middle = np.array([values.mean() for values in found])
            bars = [middle - [v.min() for v in found], [v.max() for v in found] - middle]
            axes.errorbar(
                [point[0] for point in points], middle, yerr=bars, fmt=style, color=colour, label=name, capsize=3,
                markersize=5,
            )  # fmt: skip
    left.axhline(least_asr, color="#888888", linewidth=0.8, linestyle=":")
    right.axhline(100 * largest_drop, color="#888888", linewidth=0.8, linestyle=":")
    left.set_ylim(-0.03, 1.03)
    left.yaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(1.0))
    left.set_ylabel("ASR after rounding to 8 bits")
    right.set_ylabel("ACC below the clean model, in points")
    for axes in (left, right):
        axes.set_xscale("log", base=2)
        axes.set_xticks(levels, [str(level) for level in levels])
        axes.minorticks_off()
        axes.set_xlabel("epsilon, in grey levels of 255")
        axes.grid(alpha=0.3)
    left.legend(loc="best")
    figure.suptitle(
        "How small may the trigger be? Means over seeds, bars from lowest to highest", fontsize=11
    )
    save_figure(figure, path)


def _without_spread(text: str) -> str:
    """A cell of the figure has no room for the lowest and the highest."""
    return text.split(" (")[0] + (" pruned" if text.endswith("pruned") and " (" in text else "")
