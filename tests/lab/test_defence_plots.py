"""The pictures of part 3: drawn from anything that a submission can flag or rank, and wide enough for the report."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from grader.lab.defence_plots import plot_clusters, plot_pruning


def is_wide_picture(path: Path) -> bool:
    with Image.open(path) as picture:
        colours = picture.convert("RGB").getcolors(2**20)
        return picture.width > 2.3 * picture.height and colours is not None and len(colours) > 50


def test_the_pruning_curves_are_drawn(tmp_path: Path) -> None:
    curve = [(k / 10, 1 - k / 20, 1 - k / 10) for k in range(10)]
    plot_pruning({"largest-weight": curve, "dormant": curve[::-1]}, 0.3, tmp_path / "p.png")
    assert is_wide_picture(tmp_path / "p.png")


@pytest.mark.parametrize("flagged", ["none", "all", "poison", "wrong"])
def test_the_clusters_are_drawn_whatever_was_flagged(flagged: str, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(1)
    poisoned = torch.arange(60) < 20
    features = torch.randn(60, 12, generator=generator) + 5 * poisoned[:, None]
    flags = {"none": poisoned & False, "all": poisoned | True, "poison": poisoned, "wrong": ~poisoned}
    clean = torch.zeros(60, dtype=torch.bool)
    classes = {4: (features, flags[flagged], poisoned), 5: (torch.zeros(60, 12), clean, clean)}
    plot_clusters(classes, 4, tmp_path / "c.png")
    assert is_wide_picture(tmp_path / "c.png")
