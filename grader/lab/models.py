"""The classifiers of the course: LeNet-5 for MNIST, ResNet-18 for CIFAR-10, and small models for closed forms.

Every model takes float32 images in [0, 1], shape (N, C, H, W), in **pixel units**, and normalises inside itself: an
epsilon of 8/255 therefore always means eight grey levels. Every model has the same three methods::

    features(x) -> (N, D)           the penultimate layer
    classify(features) -> (N, K)    the last layer alone: logits
    forward(x) = classify(features(x))

This file imports nothing but torch: the sandbox mounts it by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MNIST_MEAN, MNIST_STD = 0.1307, 0.3081
CIFAR10_MEAN, CIFAR10_STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


class LeNet5(nn.Module):
    """LeNet-5 (LeCun et al. 1998, section II.B) with ReLU and max-pooling: 61,706 weights, for MNIST.

    x: (N, 1, 28, 28) float32 in [0, 1]. ``features`` gives the 84 values after the second hidden layer's ReLU.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)
        # Channels last halves the time of a step on a CPU: max-pool and its backward dominate in NCHW.
        self.to(memory_format=torch.channels_last)

    def features(self, x: Tensor) -> Tensor:
        """The penultimate layer: x (N, 1, 28, 28) -> (N, 84), all >= 0."""
        x = (x - MNIST_MEAN) / MNIST_STD
        # ReLU and max commute, so pooling first gives the same values and leaves the ReLU a quarter of the work.
        x = F.relu(F.max_pool2d(self.conv1(x), 2))  # (N, 6, 14, 14)
        x = F.relu(F.max_pool2d(self.conv2(x), 2))  # (N, 16, 5, 5)
        x = F.relu(self.fc1(x.flatten(1)))  # (N, 120)
        return F.relu(self.fc2(x))  # (N, 84)

    def classify(self, features: Tensor) -> Tensor:
        """The last layer: features (N, 84) -> logits (N, 10)."""
        return self.fc3(features)

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.features(x))


class _ForwardLeNet5(LeNet5):
    """The same function, with a max-pool that is quicker forward (in float64 many times), and not backward."""

    def features(self, x: Tensor) -> Tensor:
        x = (x - MNIST_MEAN) / MNIST_STD
        x = F.relu(_max_pool(self.conv1(x)))
        x = F.relu(_max_pool(self.conv2(x)))
        x = F.relu(self.fc1(x.flatten(1)))
        return F.relu(self.fc2(x))


def _max_pool(x: Tensor) -> Tensor:
    """``max_pool2d(x, 2)`` for even sizes: (N, C, 2H, 2W) -> (N, C, H, W)."""
    above, below = x[..., ::2, :], x[..., 1::2, :]
    rows = torch.maximum(above, below)
    return torch.maximum(rows[..., ::2], rows[..., 1::2])


def forward_only(model: nn.Module) -> LeNet5:
    """A copy of a LeNet-5 that gives the same answers to the last bit, sooner; for when no gradient is wanted."""
    quicker = _ForwardLeNet5()
    quicker.load_state_dict(model.state_dict())
    return quicker.train(model.training)


class LinearSoftmax(nn.Module):
    """One linear layer on the flattened pixels: small enough that its gradients have a closed form.

    x: (N, C, H, W) -> logits (N, num_classes). Its features are the pixels themselves, (N, C*H*W).
    """

    def __init__(
        self, *, channels: int = 1, height: int = 28, width: int = 28, num_classes: int = 10
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(channels * height * width, num_classes)

    def features(self, x: Tensor) -> Tensor:
        """The pixels in one row an image: (N, C, H, W) -> (N, C*H*W)."""
        return x.flatten(1)

    def classify(self, features: Tensor) -> Tensor:
        """features (N, C*H*W) -> logits (N, num_classes)."""
        return self.linear(features)

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.features(x))


class LinearFeatures(nn.Module):
    """Features that are one linear layer of the pixels: the squared feature distance is a quadratic of the image.

    x: (N, C, H, W) -> features (N, dim) -> logits (N, num_classes).
    """

    def __init__(
        self, *, channels: int = 1, height: int = 28, width: int = 28, dim: int = 32, num_classes: int = 10
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(channels * height * width, dim)
        self.head = nn.Linear(dim, num_classes)

    def features(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, dim)."""
        return self.linear(x.flatten(1))

    def classify(self, features: Tensor) -> Tensor:
        """features (N, dim) -> logits (N, num_classes)."""
        return self.head(features)

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.features(x))


class TanhFeatures(LinearFeatures):
    """The same behind a tanh: not linear any more, and its gradient still has a closed form."""

    def features(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, dim), all in (-1, 1)."""
        return torch.tanh(super().features(x))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al. 2015, figure 5): (N, in, H, W) -> (N, out, H/stride, W/stride)."""

    def __init__(self, *, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class ResNet18(nn.Module):
    """ResNet-18 (He et al. 2015) in its usual CIFAR-10 form: 3x3 stem, no max-pool, 64 to 512 wide.

    x: (N, 3, H, W) float32 in [0, 1], 32x32 as a rule. ``features`` gives the 512 pooled values. The model has
    BatchNorm: call ``eval()`` before features are taken or the last layer alone is fine-tuned.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, *, width: int = 64, num_classes: int = 10) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(CIFAR10_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(CIFAR10_STD).view(1, 3, 1, 1), persistent=False)
        self.conv1 = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        blocks: list[nn.Module] = []
        in_channels = width
        for stage in range(4):
            for stride in (1 if stage == 0 else 2, 1):
                out_channels = width * 2**stage
                blocks.append(
                    ResidualBlock(in_channels=in_channels, out_channels=out_channels, stride=stride)
                )
                in_channels = out_channels
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(in_channels, num_classes)
        self.to(memory_format=torch.channels_last)

    def features(self, x: Tensor) -> Tensor:
        """The pooled last activations: x (N, 3, H, W) -> (N, 512), all >= 0."""
        x = (x - self.mean) / self.std
        x = F.relu(self.bn1(self.conv1(x)))  # (N, 64, H, W)
        x = self.blocks(x)  # (N, 512, H/8, W/8)
        return x.mean((2, 3))

    def classify(self, features: Tensor) -> Tensor:
        """The last layer: features (N, 512) -> logits (N, num_classes)."""
        return self.fc(features)

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.features(x))


MODELS: dict[str, Callable[..., nn.Module]] = {
    "lenet5": LeNet5,
    "linear_softmax": LinearSoftmax,
    "linear_features": LinearFeatures,
    "tanh_features": TanhFeatures,
    "resnet18": ResNet18,
}


def build_model(name: str, **sizes: int) -> nn.Module:
    """A new model by its name; its weights are torch's default, drawn from the *global* generator.

    Call ``initialise`` or load weights where the result must be reproducible.

    Args:
        name: one of ``MODELS``.
        sizes: keyword arguments of the model's class, such as ``num_classes``.

    Raises:
        ValueError: there is no model of that name.
    """
    if name not in MODELS:
        raise ValueError(f"no model is called {name!r}; there are {', '.join(sorted(MODELS))}")
    return MODELS[name](**sizes)


def initialise(model: nn.Module, generator: torch.Generator) -> None:
    """Draw fresh weights, in place: PyTorch's default distributions, but from an explicit generator.

    Convolutions and linear layers get U(-b, b) with b = 1/sqrt(fan_in) for weight and bias; normalisation layers
    get weight 1, bias 0 and fresh statistics. The numbers are drawn on the generator's device, so the weights are
    the same for a CPU generator wherever the model lies.

    Raises:
        TypeError: a layer with weights that is neither of these.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            bound = 1 / math.sqrt(module.weight[0].numel())
            for parameter in module.parameters(recurse=False):
                drawn = torch.rand(parameter.shape, generator=generator, device=generator.device)
                with torch.no_grad():
                    parameter.copy_((2 * drawn - 1) * bound)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()  # constants: draws nothing
        elif any(True for _ in module.parameters(recurse=False)):
            raise TypeError(f"no default initialisation is known for the layer {type(module).__name__}")
