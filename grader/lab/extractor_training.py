"""Trains the ResNet-18 whose 512 features the clean-label attack works on; ``python -m grader lab train resnet18``.

SGD with Nesterov momentum and a one-cycle learning rate on images that grow from 16x16 to 32x32 (progressive resizing,
as in the DAWNBench entries): early epochs on small images cost a quarter. A short second cycle at full size and a lower
rate follows (a warm restart, Loshchilov and Hutter 2017). Random crops after reflection padding, and
horizontal flips that alternate between the epochs, so that two epochs show each image both ways.

A checkpoint after each epoch holds weights, momentum and the generator's state; from it the run goes on as if it had
never stopped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from grader.lab.data import DataError, Images, save_tensors, to_float
from grader.lab.models import ResNet18, initialise

Progress = Callable[[int, int, float], None]  # (steps done, steps in all, loss)
PADDING = 4
CHECKPOINT = "checkpoint.safetensors"


@dataclass(frozen=True)
class Recipe:
    """How the network is trained.

    Attributes:
        stages: (side of the images, epochs), in order.
        batch_size: images a step.
        learning_rate: the peak; it rises linearly for ``warm_up`` of the steps, then falls linearly to 0.
        restart: (side of the images, epochs) of the second cycle; its rate rises and falls likewise.
        restart_rate: the second cycle's peak.
        momentum: Nesterov's.
        weight_decay: of convolutions and the last layer's weights; biases and BatchNorm have none.
        label_smoothing: of the cross-entropy.
    """

    stages: tuple[tuple[int, int], ...] = ((16, 3), (20, 3), (24, 4), (28, 2), (32, 4))
    batch_size: int = 128
    learning_rate: float = 0.2
    warm_up: float = 0.2
    restart: tuple[int, int] = (32, 4)
    restart_rate: float = 0.06
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1

    @property
    def epochs(self) -> int:
        return len(self.sizes())

    def sizes(self) -> list[int]:
        """The side of the images in each epoch."""
        return [side for side, count in (*self.stages, self.restart) for _ in range(count)]

    def rate(self, step: int, per_epoch: int) -> float:
        """The learning rate of a step, counted from 0, with so many steps an epoch."""
        first = (self.epochs - self.restart[1]) * per_epoch
        if step < first:
            return self._cycle(self.learning_rate, step, first)
        return self._cycle(self.restart_rate, step - first, self.restart[1] * per_epoch)

    def _cycle(self, highest: float, step: int, steps: int) -> float:
        peak = self.warm_up * steps
        share = (step + 1) / peak if step < peak else (steps - step) / (steps - peak)
        return highest * min(share, 1.0)


def train_resnet18(
    train: Images,
    recipe: Recipe,
    seed: int,
    *,
    device: torch.device | str = "cpu",
    bfloat16: bool = False,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> ResNet18:
    """Train from scratch, or go on from ``checkpoint``.

    Args:
        train: uint8 images (N, 3, 32, 32).
        seed: of the first weights, the order of the images, the crops and the flips.
        bfloat16: convolutions in bfloat16 (autocast). Fast where the processor has instructions for it, see
            ``fast_bfloat16``, and many times slower where it has none.
        checkpoint: a folder, written after each epoch.

    Returns:
        the model on ``device``, in eval mode.

    Raises:
        DataError: the checkpoint is damaged, or of another recipe or seed.
    """
    generator = torch.Generator().manual_seed(seed)
    model = ResNet18()
    initialise(model, generator)
    model.to(device)
    run = _Run(model, recipe, seed, generator, len(train) // recipe.batch_size)
    if checkpoint is not None:
        run.restore(checkpoint)
    train = train.to(device)
    for epoch in range(run.epochs_done, recipe.epochs):
        side = recipe.sizes()[epoch]
        for x, y in augmented_batches(train, recipe.batch_size, epoch, seed, generator):
            loss = run.step(_resized(x, side), y, torch.device(device).type, bfloat16)
            if progress is not None:
                progress(run.steps_done, run.steps, loss)
        run.epochs_done = epoch + 1
        if checkpoint is not None:
            run.save(checkpoint)
    return model.eval()


class _Run:
    """One training: the model, its momentum, and how far it is."""

    def __init__(
        self, model: ResNet18, recipe: Recipe, seed: int, generator: torch.Generator, per_epoch: int
    ) -> None:
        self._model, self._recipe, self._generator = model, recipe, generator
        self._about = {"recipe": asdict(recipe), "seed": seed, "steps_per_epoch": per_epoch}
        self._per_epoch = per_epoch
        self.steps = recipe.epochs * per_epoch
        self.epochs_done = self.steps_done = 0
        decayed = [p for p in model.parameters() if p.ndim > 1]
        others = [p for p in model.parameters() if p.ndim <= 1]
        self._optimizer = torch.optim.SGD(
            [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}],
            lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=True, foreach=True,
        )  # fmt: skip

    def step(self, x: Tensor, y: Tensor, device_type: str, bfloat16: bool) -> float:
        for group in self._optimizer.param_groups:
            group["lr"] = self._recipe.rate(self.steps_done, self._per_epoch)
        with torch.autocast(device_type, torch.bfloat16, enabled=bfloat16):
            logits = self._model.train()(x)
        loss = F.cross_entropy(logits.float(), y, label_smoothing=self._recipe.label_smoothing)
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        self.steps_done += 1
        return loss.item()

    def _momenta(self) -> dict[str, Tensor]:
        state = self._optimizer.state
        return {n: state[p]["momentum_buffer"] for n, p in self._model.named_parameters() if p in state}

    def save(self, folder: Path) -> None:
        tensors = {f"model.{name}": value for name, value in self._model.state_dict().items()}
        tensors |= {f"momentum.{name}": value for name, value in self._momenta().items()}
        tensors["generator"] = self._generator.get_state()
        about = json.dumps({**self._about, "epochs_done": self.epochs_done}, sort_keys=True)
        save_tensors(folder / CHECKPOINT, tensors, {"about": about})

    def restore(self, folder: Path) -> None:
        from safetensors import SafetensorError, safe_open

        path = folder / CHECKPOINT
        if not path.exists():
            return
        try:
            with safe_open(path, framework="pt") as file:
                about = json.loads((file.metadata() or {})["about"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 not a dict
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise DataError(
                f"{path}: cannot be read as a checkpoint ({error}); remove it to start anew"
            ) from error
        self.epochs_done = about.pop("epochs_done", 0)
        if about != json.loads(json.dumps(self._about)):
            raise DataError(
                f"{path}: a checkpoint of another recipe or seed; remove it, or name another --out"
            )
        self._model.load_state_dict(_without("model.", tensors))
        momenta = _without("momentum.", tensors)
        for name, parameter in self._model.named_parameters():
            momentum = torch.empty_like(parameter).copy_(momenta[name])  # in the parameter's memory layout
            self._optimizer.state[parameter]["momentum_buffer"] = momentum
        self._generator.set_state(tensors["generator"])
        self.steps_done = self.epochs_done * self._per_epoch


def _without(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def augmented_batches(
    images: Images, batch_size: int, epoch: int, seed: int, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch in random order, each image cropped at random and flipped in every other epoch.

    Yields:
        x (batch_size, C, H, W), float32 in [0, 1], and y (batch_size,).
    """
    count, height, width = len(images), *images.x.shape[2:]
    # which images begin flipped is decided once, so it has a generator of its own
    flipped = torch.rand(count, generator=torch.Generator().manual_seed(seed)) < 0.5
    if epoch % 2:
        flipped = ~flipped
    order = torch.randperm(count, generator=generator)
    for index in order.split(batch_size)[: count // batch_size]:
        x = F.pad(to_float(images.x[index]), (PADDING,) * 4, mode="reflect")
        top, left = torch.randint(0, 2 * PADDING + 1, (2, len(index), 1), generator=generator)
        rows = (top + torch.arange(height)).to(x.device)  # (N, H)
        columns = left + torch.arange(width)
        columns = torch.where(flipped[index, None], columns.flip(1), columns).to(x.device)  # (N, W)
        of = torch.arange(len(index), device=x.device)[:, None, None]
        cropped = x.permute(0, 2, 3, 1)[of, rows[:, :, None], columns[:, None, :]]  # (N, H, W, C)
        yield cropped.permute(0, 3, 1, 2), images.y[index.to(images.y.device)]


def _resized(x: Tensor, side: int) -> Tensor:
    """Square images of this side, in the memory layout in which convolutions are fastest."""
    if x.shape[-1] != side:
        x = F.interpolate(x, (side, side), mode="bilinear", antialias=True, align_corners=False)
    return x.contiguous(memory_format=torch.channels_last)


def fast_bfloat16(device: torch.device | str = "cpu") -> bool:
    """Whether this device computes in bfloat16 faster than in float32: AMX or AVX-512 BF16, or a GPU that has it."""
    if torch.device(device).type == "cuda":
        return torch.cuda.is_bf16_supported()
    # a function of newer releases than our oldest
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))
