"""The pictures: the trigger, triggered samples beside their originals, and the training curves.

Every function writes one PNG, whole or not at all. Signed quantities are drawn on a diverging scale with its units in
grey levels (1/255), in colours that stay apart for colour-blind readers; what is amplified says by how much.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib
import numpy as np

matplotlib.use("Agg")  # no window, whatever the machine
from matplotlib import pyplot as plt
from torch import Tensor

from grader.lab.training import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GREY_LEVELS = 255
SIGNED = "PuOr_r"  # orange is brighter, purple is darker
ACC_COLOUR, ASR_COLOUR, LOSS_COLOUR = "#0072b2", "#d55e00", "#555555"
MAX_SAMPLES = 10
# colours that stay apart for colour-blind readers (Okabe & Ito), and markers that do without colour
LINES = (("#0072b2", "o-"), ("#d55e00", "s--"), ("#009e73", "^-."), ("#cc79a7", "D:"), ("#555555", "v-"))


def plot_trigger(delta: Tensor, epsilon: float, path: Path) -> None:
    """The trigger alone, amplified to the whole colour scale, and as it would look at its true strength.

    Args:
        delta: (1, 1, H, W) in pixel units.
        epsilon: the bound, in pixel units.
    """
    levels = delta.detach().cpu()[0, 0].numpy() * GREY_LEVELS
    limit = epsilon * GREY_LEVELS
    figure, (true, amplified) = plt.subplots(1, 2, figsize=(7.2, 3.4))
    figure.subplots_adjust(left=0.02, right=0.87, bottom=0.03, top=0.83, wspace=0.06)
    true.imshow(0.5 + levels / GREY_LEVELS, cmap="gray", vmin=0, vmax=1)
    true.set_title("true strength, on mid-grey")
    image = amplified.imshow(levels, cmap=SIGNED, vmin=-limit, vmax=limit)
    amplified.set_title(f"amplified {GREY_LEVELS / (2 * limit):.0f} times")
    figure.colorbar(image, cax=_beside(amplified)).set_label("change in grey levels (of 255)")
    figure.suptitle(f"The trigger: no pixel changes by more than {limit:.3g} of 255 grey levels")
    without_ticks(true, amplified)
    save_figure(figure, path)


def plot_triggered_samples(
    x: Tensor,
    triggered: Tensor,
    *,
    y: Tensor,
    predictions: Tensor,
    triggered_predictions: Tensor,
    target: int,
    path: Path,
) -> None:
    """Clean image, triggered image and amplified difference in three rows, with what the model says of each.

    Args:
        x: (N, 1, H, W) in [0, 1], at most ten are drawn; triggered: likewise, clipped.
        y: true classes (N,); predictions, triggered_predictions: the model's, (N,).

    Raises:
        ValueError: there is no image, or the shapes differ.
    """
    count = min(len(x), MAX_SAMPLES)
    if count == 0 or x.shape != triggered.shape:
        raise ValueError(f"images {tuple(x.shape)} and triggered images {tuple(triggered.shape)} must match")
    clean, changed = (images[:count, 0].detach().cpu().numpy() for images in (x, triggered))
    difference = (changed - clean) * GREY_LEVELS
    limit = float(abs(difference).max()) or 1.0
    inches = max(1.15 * count + 1.6, 7.5)
    figure, rows = plt.subplots(3, 1, figsize=(inches, 4.3))
    figure.subplots_adjust(left=0.75 / inches, right=1 - 0.9 / inches, bottom=0.02, top=0.85, hspace=0.28)
    rows[0].imshow(side_by_side(clean), cmap="gray", vmin=0, vmax=1)
    rows[1].imshow(side_by_side(changed), cmap="gray", vmin=0, vmax=1)
    image = rows[2].imshow(side_by_side(difference), cmap=SIGNED, vmin=-limit, vmax=limit)
    for i in range(count):
        middle = i * (clean.shape[2] + 2) + clean.shape[2] / 2 - 0.5
        for row, said, right in ((0, predictions, int(y[i])), (1, triggered_predictions, target)):
            rows[row].text(middle, -2, _said(said[i], right=right), ha="center", va="bottom", fontsize=10)
    for row, name in zip(rows, ("clean", "triggered", "difference,\namplified"), strict=True):
        row.set_ylabel(name, fontsize=10)
        row.set_frame_on(False)
    without_ticks(*rows)
    figure.colorbar(image, cax=_beside(rows[2])).set_label("grey levels", fontsize=9)
    figure.suptitle(
        f"Test images and what the model calls them; the trigger's target is {target}, a star marks an unwanted answer",
        fontsize=10,
    )
    save_figure(figure, path)


def plot_history(history: History, path: Path) -> None:
    """The loss of every step, and ACC and ASR on held-out training images over the steps."""
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(7.2, 5.0), sharex=True)
    figure.subplots_adjust(left=0.11, right=0.98, bottom=0.1, top=0.92, hspace=0.1)
    steps = range(1, len(history.losses) + 1)
    top.plot(steps, history.losses, color=LOSS_COLOUR, linewidth=0.8)
    top.set_ylabel("loss: clean + triggered")
    top.set_yscale("log")
    at = [s.step for s in history.snapshots]
    bottom.plot(
        at, [s.acc for s in history.snapshots], "o-", color=ACC_COLOUR, markersize=4, label="ACC (clean)"
    )
    bottom.plot(
        at, [s.asr for s in history.snapshots], "s--", color=ASR_COLOUR, markersize=4, label="ASR (triggered)"
    )
    bottom.set_ylim(-0.03, 1.03)
    bottom.set_xlabel("training step")
    bottom.set_ylabel("share of held-out images")
    bottom.yaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(1.0))
    bottom.legend(loc="lower right")
    for axes in (top, bottom):
        axes.grid(alpha=0.3)
    figure.suptitle("Training model and trigger together, from the clean start")
    save_figure(figure, path)


def plot_rates(
    series: Mapping[str, Sequence[tuple[float, Sequence[float]]]],
    path: Path,
    *,
    x_label: str,
    y_label: str,
    title: str,
    goal: float | None = None,
) -> None:
    """Rates over a quantity, one line a series: the means, with bars from the lowest to the highest.

    Args:
        series: name -> points (x, the rates measured there, in [0, 1]).
        goal: a rate to reach, drawn as a line.
    """
    figure, axes = plt.subplots(figsize=(7.2, 4.4))
    figure.subplots_adjust(left=0.12, right=0.97, bottom=0.13, top=0.9)
    for (name, points), (colour, style) in zip(series.items(), cycle(LINES), strict=False):
        x = [position for position, _ in points]
        middle = [float(np.mean(rates)) for _, rates in points]
        below = [m - min(rates) for m, (_, rates) in zip(middle, points, strict=True)]
        above = [max(rates) - m for m, (_, rates) in zip(middle, points, strict=True)]
        axes.errorbar(
            x, middle, yerr=[below, above], fmt=style, color=colour, label=name, capsize=3, markersize=5
        )
    if goal is not None:
        axes.axhline(goal, color="#888888", linewidth=0.8, linestyle=":")
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.xaxis.set_major_locator(
        matplotlib.ticker.MaxNLocator(
            integer=all(float(p[0]).is_integer() for points in series.values() for p in points)
        )
    )
    axes.yaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(1.0))
    axes.grid(alpha=0.3)
    axes.legend(loc="best")
    figure.suptitle(title, fontsize=11)
    save_figure(figure, path)


def side_by_side(images: np.ndarray) -> np.ndarray:
    """(N, H, W) -> one (H, N * (W + 2) - 2) picture with blank columns between: one axes draws quicker than ten."""
    count, height, width = images.shape
    picture = np.full((height, count * (width + 2) - 2), np.nan)
    for i, image in enumerate(images):
        picture[:, i * (width + 2) : i * (width + 2) + width] = image
    return picture


def _beside(axes: Axes) -> Axes:
    """Narrow axes to the right of ``axes``, of its height, for a colour bar."""
    axes.apply_aspect()
    place = axes.get_position()
    beside: Axes = axes.figure.add_axes((place.x1 + 0.01, place.y0, 0.012, place.height))
    return beside


def _said(prediction: Tensor, *, right: int) -> str:
    """What the model said, with a star where it is not what was meant."""
    return f"{int(prediction)}" if int(prediction) == right else f"{int(prediction)} *"


def without_ticks(*all_axes: Axes) -> None:
    for axes in all_axes:
        axes.set_xticks([])
        axes.set_yticks([])


def save_figure(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        figure.savefig(temporary, dpi=130, format="png")
        os.replace(temporary, path)
    finally:
        plt.close(figure)
        temporary.unlink(missing_ok=True)
