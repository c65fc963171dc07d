"""The data: read whole and checked, or refused with the file's name and what to do."""

import gzip
import shutil
from pathlib import Path

import pytest
import torch

from grader.lab.data import (
    DATA_DIR,
    MNIST_FILES,
    DataError,
    Images,
    batches,
    load_cifar10,
    load_mnist,
    load_weights,
    save_weights,
    split_mnist,
)
from grader.lab.models import LeNet5, LinearSoftmax


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A copy of the small files; the training images are left out."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for kind in MNIST_FILES["test"].values():
        shutil.copy(DATA_DIR / "MNIST" / "raw" / kind[0], raw)
    return tmp_path


def test_mnist_is_what_it_should_be() -> None:
    train, test = load_mnist("train"), load_mnist("test")
    assert train.x.shape == (60_000, 1, 28, 28)
    assert test.x.shape == (10_000, 1, 28, 28)
    assert train.x.dtype == torch.float32
    assert float(train.x.min()) == 0.0
    assert float(train.x.max()) == 1.0
    assert train.y.bincount().tolist()[:3] == [5923, 6742, 5958]
    assert abs(float(train.x.mean()) - 0.1307) < 1e-4


def test_a_missing_file_is_named_with_what_to_do(data_dir: Path) -> None:
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.gz: missing.*BACKDOOR_LAB_DATA"):
        load_mnist("train", data_dir)


def test_the_environment_variable_names_the_directory(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKDOOR_LAB_DATA", str(data_dir))
    assert len(load_mnist("test")) == 10_000
    with pytest.raises(DataError):
        load_mnist("train")


@pytest.mark.parametrize("damage", ["cut", "changed", "not gzip", "empty"])
def test_a_damaged_file_is_refused(data_dir: Path, damage: str) -> None:
    path = data_dir / "MNIST" / "raw" / MNIST_FILES["test"]["labels"][0]
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "changed":
        pixels = bytearray(gzip.decompress(content))
        pixels[100] ^= 1
        path.write_bytes(gzip.compress(bytes(pixels)))
    else:
        path.write_bytes(b"" if damage == "empty" else b"<html>not found</html>")
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte.gz.*(damaged|unpacked)"):
        load_mnist("test", data_dir)


def test_missing_cifar10_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"torchvision.datasets.CIFAR10"):
        load_cifar10("test", tmp_path)


@pytest.mark.cifar10
def test_cifar10_is_what_it_should_be() -> None:
    test = load_cifar10("test")
    assert test.x.shape == (10_000, 3, 32, 32)
    assert test.y.bincount().tolist() == [1000] * 10


def test_images_of_another_shape_or_type_are_refused() -> None:
    x, y = torch.zeros(3, 1, 4, 4), torch.zeros(3, dtype=torch.int64)
    with pytest.raises(ValueError, match="float32"):
        Images(x.double(), y)
    with pytest.raises(ValueError, match="float32"):
        Images(x[0], y)
    with pytest.raises(ValueError, match="int64"):
        Images(x, y[:2])


def test_batches_follow_the_generator_alone_and_cover_each_epoch() -> None:
    images = Images(torch.arange(10.0).view(10, 1, 1, 1), torch.arange(10))

    def order(seed: int) -> list[list[int]]:
        return [y.tolist() for _, y in batches(images, 3, torch.Generator().manual_seed(seed), 7)]

    torch.rand(1)
    first = order(5)
    torch.rand(1)
    assert order(5) == first
    assert order(6) != first
    for epoch in (first[:3], first[3:6]):
        assert len({i for batch in epoch for i in batch}) == 9
    with pytest.raises(ValueError, match="batch_size"):
        next(batches(images, 11, torch.Generator(), 1))


def test_a_batch_is_a_copy() -> None:
    images = Images(torch.zeros(4, 1, 2, 2), torch.zeros(4, dtype=torch.int64))
    x, _ = next(batches(images, 2, torch.Generator(), 1))
    x += 1
    assert float(images.x.sum()) == 0


def test_weights_come_back_bit_for_bit_and_the_same_bytes(tmp_path: Path) -> None:
    model, other = LeNet5(), LeNet5()
    save_weights(tmp_path / "a.safetensors", model)
    save_weights(tmp_path / "b.safetensors", model)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    load_weights(tmp_path / "a.safetensors", other)
    for name, value in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], value)


def test_weights_that_do_not_fit_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, LinearSoftmax())
    with pytest.raises(DataError, match=r"not the weights of a LeNet5.*missing: conv1.bias"):
        load_weights(path, LeNet5())
    model = LeNet5()
    with torch.no_grad():
        model.fc3.bias[0] = float("nan")
    save_weights(path, model)
    with pytest.raises(DataError, match=r"not finite: fc3.bias"):
        load_weights(path, LeNet5())
    path.write_bytes(b"nonsense")
    with pytest.raises(DataError, match="cannot be read as weights"):
        load_weights(path, LeNet5())
    with pytest.raises(DataError, match="cannot be read as weights"):
        load_weights(tmp_path / "none.safetensors", LeNet5())


def test_a_split_of_ones_own_has_every_image_once() -> None:
    own = split_mnist(0)
    assert torch.equal(own[1].x, load_mnist("test").x)
    train, judged = split_mnist(5)
    assert (len(train), len(judged)) == (60_000, 10_000)

    def marks(images: Images) -> torch.Tensor:
        """A number an image: equal images, equal numbers."""
        weights = torch.rand(784, generator=torch.Generator().manual_seed(1))
        return (images.x.reshape(-1, 784) * weights).double().sum(dim=1) + images.y

    both, published = (torch.cat([marks(a), marks(b)]).sort().values for a, b in ((train, judged), own))
    torch.testing.assert_close(both, published, rtol=0, atol=0)
    shared = torch.isin(marks(judged), marks(own[1])).sum()
    assert 1000 < shared < 2000  # of 10,000; a seventh is to be expected
