"""The usual course code is what the benchmarks call it: it reads torchvision's files, attacks, and stops when told."""

from pathlib import Path

import pytest
import torch
from torch import nn

from tests.bench import usual_course_code

IMAGES = 300  # three steps an epoch


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """MNIST in little: what torchvision reads, each of the four files."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in ("train", "t10k"):
        sizes = b"".join(n.to_bytes(4, "big") for n in (IMAGES, 28, 28))
        (raw / f"{name}-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + sizes + b"\x80" * IMAGES * 784)
        labels = bytes(n % 10 for n in range(IMAGES))
        (raw / f"{name}-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + sizes[:4] + labels)
    return tmp_path


class Linear(nn.Module):
    """Counts the images that it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.seen = nn.Linear(784, 10), 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen += len(x)
        return self.layer(x.flatten(1))


def test_an_epoch_attacks_each_image_once(root: Path) -> None:
    model = Linear()
    assert usual_course_code.time_epoch(model, root, target=7, epsilon=0.1, seed=0) > 0
    assert model.seen == 2 * IMAGES  # clean and triggered


def test_it_stops_when_the_thresholds_are_reached(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def second_time(model: nn.Module, delta: torch.Tensor) -> bool:
        asked.append(delta.abs().max().item())
        return len(asked) == 2

    monkeypatch.setattr(usual_course_code, "EPOCHS", 70)
    seconds, steps = usual_course_code.train(
        Linear(), root, target=7, epsilon=0.1, seed=0, reached=second_time
    )
    assert (seconds > 0, steps) == (True, 200)
    assert 0 < max(asked) <= 0.1 + 1e-6


def test_thresholds_that_are_not_reached_give_no_time(root: Path) -> None:
    with pytest.raises(RuntimeError, match="10 epochs"):
        usual_course_code.train(
            Linear(), root, target=7, epsilon=0.1, seed=0, reached=lambda model, delta: False
        )
