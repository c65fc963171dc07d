"""The data sets as tensors, batches of them, and weights files. Only ``download_cifar10`` uses the network.

A data directory holds ``MNIST/raw/*.gz`` (the four IDX files in torchvision's layout; they come with the project, in
``grader/data``) and, if you have it, CIFAR-10: ``cifar-10-batches-py/`` (what torchvision downloads) or
``cifar10/train.npz`` and ``test.npz``. Another directory is named by the argument ``data_dir`` or by the environment
variable ``BACKDOOR_LAB_DATA``; without one, a CIFAR-10 that was downloaded is found in the user's cache directory.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

DATA_DIR = Path(__file__).resolve().parents[1] / "data"
DATA_DIR_VARIABLE = "BACKDOOR_LAB_DATA"
CACHE_VARIABLE = "BACKDOOR_LAB_CACHE"

Split = Literal["train", "test"]
_SPLITS: tuple[Split, ...] = ("train", "test")

# Published MD5s of the *unpacked* files: how they were compressed does not matter.
MNIST_FILES = {
    "train": {
        "images": ("train-images-idx3-ubyte.gz", "6bbc9ace898e44ae57da46a324031adb"),
        "labels": ("train-labels-idx1-ubyte.gz", "a25bea736e30d166cdddb491f175f624"),
    },
    "test": {
        "images": ("t10k-images-idx3-ubyte.gz", "2646ac647ad5339dbf082846283269ea"),
        "labels": ("t10k-labels-idx1-ubyte.gz", "27ae3e4e09519cfbb04c329615203637"),
    },
}
MNIST_LARGEST = 64 * 2**20  # bytes, unpacked; a file that unpacks to more is not one of the four


class DataError(Exception):
    """A file of data or weights is missing or is not what it should be. The message names it and says what to do."""


@dataclass(frozen=True)
class Images:
    """Labelled images.

    Attributes:
        x: (N, C, H, W), float32 in [0, 1]; or uint8 grey levels, a quarter of the memory, which ``batches`` and
            ``as_float`` turn into the same numbers.
        y: int64 class numbers, (N,).
    """

    x: Tensor
    y: Tensor

    def __post_init__(self) -> None:
        if self.x.ndim != 4 or self.x.dtype not in (torch.float32, torch.uint8):
            raise ValueError(
                f"images are float32 or uint8 (N, C, H, W), not {self.x.dtype} {tuple(self.x.shape)}"
            )
        if self.y.shape != self.x.shape[:1] or self.y.dtype != torch.int64:
            raise ValueError(f"labels are int64 ({len(self.x)},), not {self.y.dtype} {tuple(self.y.shape)}")

    def __len__(self) -> int:
        return len(self.x)

    def subset(self, index: Tensor | slice) -> Images:
        """The images that ``index`` chooses: a slice (shares memory), or a tensor of positions or of truth values."""
        return Images(self.x[index], self.y[index])

    def as_float(self) -> Images:
        """The same images as float32 in [0, 1]; 255 becomes exactly 1."""
        return Images(to_float(self.x), self.y)

    def to(self, device: torch.device | str) -> Images:
        return Images(self.x.to(device), self.y.to(device))


def to_float(x: Tensor) -> Tensor:
    """uint8 grey levels as float32 in [0, 1]; float32 as it is. Any shape."""
    return x.float().div_(255) if x.dtype == torch.uint8 else x


def load_mnist(split: Split, data_dir: Path | None = None, *, grey_levels: bool = False) -> Images:
    """MNIST: 60,000 ("train") or 10,000 ("test") images, x (N, 1, 28, 28), float32 unless ``grey_levels`` (uint8).

    Raises:
        DataError: a file is missing or damaged.
    """
    directory = _data_dir(data_dir) / "MNIST" / "raw"
    images = _kept.get((split, directory)) or _read_mnist(directory, split)
    return images if grey_levels else images.as_float()


def split_mnist(
    seed: int, data_dir: Path | None = None, *, grey_levels: bool = False
) -> tuple[Images, Images]:
    """(60,000 images to train on, 10,000 to judge on), without an image in both; float32 unless ``grey_levels``.

    Seed 0 is MNIST's own split, which everybody has. Any other draws the images to judge on from all 70,000, so that
    who has learnt the published test images by heart knows little of these.

    Raises:
        DataError: a file is missing or damaged.
    """
    train, test = (load_mnist(split, data_dir, grey_levels=grey_levels) for split in _SPLITS)
    if seed == 0:
        return train, test
    order = torch.randperm(len(train) + len(test), generator=torch.Generator().manual_seed(seed))
    judged = order[: len(test)]
    others = order[len(test) :]
    return _chosen((train, test), others), _chosen((train, test), judged)


def _chosen(sets: tuple[Images, Images], index: Tensor) -> Images:
    """The images at these positions of the two sets laid end to end; nothing is copied twice."""
    first, second = sets
    index = index.sort().values
    cut = int((index < len(first)).sum())
    x, y = first.x.new_empty(len(index), *first.x.shape[1:]), first.y.new_empty(len(index))
    for images, rows, positions in ((first, slice(0, cut), index[:cut]),
                                    (second, slice(cut, None), index[cut:] - len(first))):  # fmt: skip
        torch.index_select(images.x, 0, positions, out=x[rows])
        torch.index_select(images.y, 0, positions, out=y[rows])
    return Images(x, y)


def keep_mnist() -> None:
    """Read MNIST now and keep it for this process and those forked from it (53 MiB, and most of a second in each).

    From then on ``load_mnist`` hands out the same grey levels every time, so nobody may write into them.

    Raises:
        DataError: a file is missing or damaged.
    """
    splits: tuple[Split, ...] = ("train", "test")
    for split in splits:
        _kept[split, _data_dir(None) / "MNIST" / "raw"] = load_mnist(split, grey_levels=True)


_kept: dict[tuple[Split, Path], Images] = {}


def load_cifar10(split: Split, data_dir: Path | None = None, *, grey_levels: bool = False) -> Images:
    """CIFAR-10: 50,000 ("train") or 10,000 ("test") images, x (N, 3, 32, 32), float32 unless ``grey_levels`` (uint8).

    It is not part of the project.

    Raises:
        DataError: neither form of the data set lies in the data directory, or what lies there is damaged.
    """
    directory = _cifar10_dir(data_dir)
    archive = directory / "cifar10" / f"{split}.npz"
    if archive.is_file():
        x, y = _read_cifar10_archive(archive)
    elif (directory / "cifar-10-batches-py").is_dir():
        x, y = _read_cifar10_torchvision(directory, split)
    else:
        raise DataError(
            f"CIFAR-10 is not in {directory}: download it (--download of the `python -m grader lab` commands, or "
            f"torchvision.datasets.CIFAR10({str(directory)!r}, download=True)), or put cifar10/train.npz and "
            f"test.npz there; name another directory with {DATA_DIR_VARIABLE}"
        )
    expected = {"train": 50_000, "test": 10_000}[split]
    if (
        x.shape != (expected, 32, 32, 3)
        or x.dtype != np.uint8
        or y.shape != (expected,)
        or y.max(initial=0) > 9
    ):
        raise DataError(
            f"{directory}: CIFAR-10 {split} should be {expected:,} uint8 images of 32x32x3 with labels 0 to 9, "
            f"but {x.dtype} {x.shape} with labels {y.shape} were read"
        )
    images = _to_images(x.transpose(0, 3, 1, 2), y)
    return images if grey_levels else images.as_float()


def _cifar10_dir(data_dir: Path | None) -> Path:
    """The directory that is named; if none is, the project's own, or the cache's where only that has CIFAR-10."""
    directory, cached = _data_dir(data_dir), cache_dir() / "data"
    named = data_dir is not None or os.environ.get(DATA_DIR_VARIABLE)
    return cached if not named and (cached / "cifar-10-batches-py").is_dir() else directory


def download_cifar10(data_dir: Path | None = None) -> None:
    """Download CIFAR-10 with torchvision (163 MiB) unless it is there; its checksums are verified.

    Args:
        data_dir: where to; None is ``BACKDOOR_LAB_DATA``, or else the user's cache directory.

    Raises:
        DataError: it could not be downloaded or written.
    """
    from torchvision.datasets import CIFAR10

    named = data_dir or os.environ.get(DATA_DIR_VARIABLE)
    directory = Path(named) if named else cache_dir() / "data"
    if (directory / "cifar10" / "train.npz").is_file():
        return
    try:
        CIFAR10(str(directory), download=True)
    except (RuntimeError, OSError) as error:
        raise DataError(
            f"CIFAR-10 could not be downloaded to {directory} ({error}); try again, or get it another way and "
            f"name its directory with {DATA_DIR_VARIABLE}"
        ) from error


def cache_dir() -> Path:
    """Where what is made or downloaded is kept: ``BACKDOOR_LAB_CACHE``, else ``backdoor-lab`` in the user's cache."""
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
    elif sys.platform == "darwin":
        base = str(Path.home() / "Library" / "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "backdoor-lab"


def batches(
    images: Images, batch_size: int, generator: torch.Generator, steps: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """``steps`` batches: epoch after epoch, each in a fresh random order, without its incomplete last batch.

    The order depends on the generator's state alone, on any device.

    Yields:
        x (batch_size, C, H, W), float32, a copy in channels-last memory, and y (batch_size,).

    Raises:
        ValueError: batch_size is not between 1 and the number of images.
    """
    if not 1 <= batch_size <= len(images):
        raise ValueError(f"batch_size must be between 1 and the {len(images)} images, not {batch_size}")
    per_epoch = len(images) // batch_size
    for step in range(steps):
        position = step % per_epoch
        if position == 0:
            order = torch.randperm(len(images), generator=generator, device=generator.device).to(
                images.x.device
            )
        index = order[position * batch_size : (position + 1) * batch_size]
        yield to_float(images.x[index]).contiguous(memory_format=torch.channels_last), images.y[index]


def load_weights(path: Path, model: nn.Module) -> None:
    """Read a safetensors file into ``model``, in place; float16 weights are widened to the model's type.

    Raises:
        DataError: no such file, not a safetensors file, or not exactly this model's weights.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise DataError(
            f"{path}: cannot be read as weights ({error}); restore the file or train it again"
        ) from error
    own = model.state_dict()
    missing, unknown = sorted(own.keys() - weights.keys()), sorted(weights.keys() - own.keys())
    shapes = sorted(name for name in own.keys() & weights.keys() if own[name].shape != weights[name].shape)
    if missing or unknown or shapes:
        raise DataError(
            f"{path}: these are not the weights of a {type(model).__name__}"
            + (f"; missing: {', '.join(missing)}" if missing else "")
            + (f"; unknown: {', '.join(unknown)}" if unknown else "")
            + (f"; of another shape: {', '.join(shapes)}" if shapes else "")
        )
    broken = sorted(name for name, value in weights.items() if not bool(torch.isfinite(value).all()))
    if broken:
        raise DataError(f"{path}: not finite: {', '.join(broken)}; restore the file or train it again")
    model.load_state_dict(weights)


def save_weights(path: Path, model: nn.Module, *, float16: bool = False) -> None:
    """Write the model's weights as safetensors: whole or not at all, and the same bytes for the same weights.

    Args:
        float16: round float32 weights to float16, half the size; ``load_weights`` widens them again.
    """
    weights = model.state_dict()
    save_tensors(
        path, {n: v.half() if float16 and v.dtype == torch.float32 else v for n, v in weights.items()}
    )


def save_tensors(path: Path, tensors: Mapping[str, Tensor], about: dict[str, str] | None = None) -> None:
    """Write tensors, and texts about them, as safetensors: whole or not at all."""
    from safetensors.torch import save

    content = save({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, about)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _data_dir(data_dir: Path | None) -> Path:
    if data_dir is not None:
        return Path(data_dir)
    named = os.environ.get(DATA_DIR_VARIABLE)
    return Path(named) if named else DATA_DIR


def _to_images(x: np.ndarray, y: np.ndarray) -> Images:
    """uint8 (N, C, H, W) and labels as tensors of their own."""
    return Images(torch.from_numpy(x.copy(order="C")), torch.from_numpy(y.astype(np.int64)))


def _read_mnist(directory: Path, split: Split) -> Images:
    x = _read_idx(directory, *MNIST_FILES[split]["images"], ndim=3)
    y = _read_idx(directory, *MNIST_FILES[split]["labels"], ndim=1)
    return _to_images(x[:, None], y)


def _read_idx(directory: Path, name: str, md5: str, *, ndim: int) -> np.ndarray:
    """One IDX file (big-endian: 0, 0, 8 = unsigned byte, number of dimensions, sizes, bytes), checked by its MD5."""
    path = directory / name
    remedy = "restore it (git checkout, or torchvision.datasets.MNIST(..., download=True))"
    try:
        with gzip.open(path) as file:
            content = file.read(MNIST_LARGEST)
    except FileNotFoundError as error:
        raise DataError(
            f"{path}: missing; {remedy}, or name another data directory with {DATA_DIR_VARIABLE}"
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be unpacked ({error}); {remedy}") from error
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise DataError(f"{path}: damaged: its unpacked MD5 is {found}, not {md5}; {remedy}")
    sizes = struct.unpack_from(f">{ndim}I", content, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * ndim).reshape(sizes)


def _read_cifar10_archive(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The .npz form: images uint8 (N, 32, 32, 3) and labels uint8 (N,); arrays only, never a pickle."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return archive["images"], archive["labels"]
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: cannot be read as CIFAR-10 ({error}); get the file again") from error


def _read_cifar10_torchvision(directory: Path, split: Split) -> tuple[np.ndarray, np.ndarray]:
    """torchvision's batches; torchvision itself unpickles them, and only after their MD5 proved right."""
    from torchvision.datasets import CIFAR10

    try:
        data = CIFAR10(str(directory), train=split == "train", download=False)
    except (RuntimeError, OSError) as error:
        raise DataError(
            f"{directory / 'cifar-10-batches-py'}: damaged ({error}); download CIFAR-10 again"
        ) from error
    return data.data, np.asarray(data.targets)
