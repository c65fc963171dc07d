"""Pictures of the clean-label attack: one target with its poisons, all targets, and success over the set's size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
import torch
from matplotlib import pyplot as plt
from torch import Tensor

from grader.lab.clean_label import CIFAR10_CLASSES
from grader.lab.metrics import Rate
from grader.lab.plots import GREY_LEVELS, LINES, save_figure, without_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_POISONS = 5
BEFORE_COLOUR, AFTER_COLOUR = "#0072b2", "#d55e00"


def plot_attack(
    target: Tensor,
    bases: Tensor,
    poisons: Tensor,
    *,
    y: int,
    base_class: int,
    before: Tensor,
    after: Tensor,
    distances: Tensor,
    path: Path,
    names: Sequence[str] = CIFAR10_CLASSES,
) -> None:
    """One target, its first five bases and poisons with their amplified difference, and the target's probabilities.

    Args:
        target: (C, H, W) in [0, 1]; bases, poisons: (P, C, H, W).
        before, after: probabilities of the classes without and with the poisons, (K,).
        distances: of base and poison to the target in feature space, (P, 2).
        names: of the K classes.
    """
    count = min(len(poisons), MOST_POISONS)
    difference = (poisons - bases)[:count]
    strength = float(difference.abs().max()) or 1 / GREY_LEVELS
    width = 6.6 + 1.1 * count
    figure = plt.figure(figsize=(width, 4.3))
    grid = figure.add_gridspec(
        3, count + 2, width_ratios=[1.6, *[1.0] * count, 2.6], wspace=0.12, hspace=0.22,
        left=0.02, right=1 - 0.85 / width, bottom=0.1, top=0.84,
    )  # fmt: skip
    own = figure.add_subplot(grid[:, 0])
    _picture(own, target)
    own.set_title(f"the target:\n{names[y]}", fontsize=10)
    rows = (
        ("base", bases, distances[:, 0]),
        ("poison", poisons, distances[:, 1]),
        ("difference", 0.5 + difference / (2 * strength), None),
    )
    for row, (name, images, distance) in enumerate(rows):
        for i in range(count):
            axes = figure.add_subplot(grid[row, 1 + i])
            _picture(axes, images[i])
            if distance is not None:
                axes.set_title(f"d = {float(distance[i]):.2f}", fontsize=8, pad=2)
            if i == 0:
                axes.set_ylabel(name, fontsize=9)
    _probabilities(figure.add_subplot(grid[:, -1]), before, after, (y, base_class), names)
    turned = int(after.argmax()) == base_class
    shown = f" ({count} of them shown)" if count < len(poisons) else ""
    figure.suptitle(
        f"{len(poisons)} poison{'s' * (len(poisons) != 1)} labelled {names[base_class]}{shown}: the target is "
        f"{'now' if turned else 'not'} taken for {names[base_class]}\n"
        f"differences ±{strength * GREY_LEVELS:.0f} of 255 grey levels, amplified {1 / (2 * strength):.0f} times; "
        "d: distance to the target in feature space",
        fontsize=9,
    )
    save_figure(figure, path)


def _picture(axes: Axes, image: Tensor) -> None:
    axes.imshow(image.permute(1, 2, 0).clamp(0, 1).numpy().squeeze(), cmap="gray", vmin=0, vmax=1)
    without_ticks(axes)
    axes.set_frame_on(False)


def _probabilities(
    axes: Axes, before: Tensor, after: Tensor, marked: tuple[int, int], names: Sequence[str]
) -> None:
    places = np.arange(len(before))
    axes.barh(places - 0.2, before.numpy(), 0.38, color=BEFORE_COLOUR, label="without poisons")
    axes.barh(places + 0.2, after.numpy(), 0.38, color=AFTER_COLOUR, label="with poisons")
    axes.set_yticks(places, names)
    for k, text in enumerate(axes.get_yticklabels()):
        text.set_fontweight("bold" if k in marked else "normal")
    axes.invert_yaxis()
    axes.yaxis.tick_right()
    axes.set_xlim(0, 1)
    axes.tick_params(labelsize=8)
    axes.set_title("what the victim says of the target", fontsize=9)
    axes.legend(fontsize=7, loc="lower right", framealpha=0.9)


def plot_targets(
    distances: Tensor, before: Tensor, after: Tensor, success: Tensor, title: str, path: Path
) -> None:
    """How sure the victims are of the base class, over how near the nearest poison comes in feature space.

    Args:
        distances: of each target's nearest base and nearest poison, (T, 2).
        before, after: the base class's probability without and with poisons, (T,); success: bool (T,).
    """
    figure, axes = plt.subplots(figsize=(7.2, 4.4))
    figure.subplots_adjust(left=0.1, right=0.97, bottom=0.13, top=0.9)
    for chosen, colour, marker, name in (
        (success, AFTER_COLOUR, "o", "with poisons, taken for the base class"),
        (~success, "#555555", "X", "with poisons, not taken for it"),
    ):
        if bool(chosen.any()):
            axes.scatter(distances[chosen, 1], after[chosen], s=26, c=colour, marker=marker, label=name)
    axes.scatter(distances[:, 0], before, s=16, c=BEFORE_COLOUR, marker="^", label="without (at the base)")
    axes.set_xlim(left=0)
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel("distance to the target in feature space: of the nearest base, of the nearest poison")
    axes.set_ylabel("probability of the base class")
    axes.yaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(1.0))
    axes.grid(alpha=0.3)
    axes.legend(loc="best", fontsize=8)
    figure.suptitle(title, fontsize=11)
    save_figure(figure, path)


@dataclass(frozen=True)
class Line:
    """One line of the curve: its name and rates over the number of fine-tuning images."""

    name: str
    points: Sequence[tuple[int, Rate]]
    control: bool = False


def plot_curve(panels: Mapping[str, Sequence[Line]], goal: float, path: Path) -> None:
    """Success over the size of the fine-tuning set, a panel for each budget, with Wilson's 95 % intervals."""
    columns = min(7, 3 * len(panels))  # of the legend, as many as fit below
    legend_rows = -(-max(map(len, panels.values())) // columns)
    width = 1.2 + 3.6 * len(panels)  # inches
    figure, row = plt.subplots(1, len(panels), figsize=(width, 4.2), sharey=True, squeeze=False)
    figure.subplots_adjust(
        left=0.75 / width,
        right=0.985,
        bottom=0.19 + 0.05 * legend_rows,
        top=0.9,
        wspace=0.06,
    )
    for axes, (title, lines) in zip(row[0], panels.items(), strict=True):
        looks = cycle(LINES)
        for line in lines:
            colour, style = ("#999999", "x:") if line.control else next(looks)
            x = [count for count, _ in line.points]
            middle = [rate.value for _, rate in line.points]
            low, high = (
                [abs(rate.interval[side] - rate.value) for _, rate in line.points] for side in (0, 1)
            )
            axes.errorbar(x, middle, yerr=[low, high], fmt=style, color=colour, capsize=2, markersize=4,
                          linewidth=1.2, label=line.name)  # fmt: skip
        axes.axhline(goal, color="#888888", linewidth=0.8, linestyle=":")
        axes.set_xscale("log")
        ticks = sorted({count for line in lines for count, _ in line.points})
        axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks], fontsize=8, rotation=30)
        axes.minorticks_off()
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("fine-tuning images", fontsize=9)
        axes.set_ylim(-0.03, 1.03)
        axes.grid(alpha=0.3)
    row[0][0].set_ylabel("targets taken for the base class")
    row[0][0].yaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(1.0))
    handles, names = row[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="lower center", ncol=columns, fontsize=8)
    save_figure(figure, path)


def distances_of(features: Tensor, base_features: Tensor, target: Tensor) -> Tensor:
    """Euclidean distances to the target's features (D,) of bases and poisons, (P, D) each: (P, 2)."""
    return torch.stack([(f - target).norm(dim=1) for f in (base_features, features)], 1)
