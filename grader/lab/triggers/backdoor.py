"""A backdoored model with its trigger: what every attack makes, every measure judges and every defence gets."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from grader.lab.data import DataError, Images, load_weights, save_weights, to_float
from grader.lab.metrics import Rate, accuracy, attack_success_rate, linf, predict, psnr, ssim, to_8bit
from grader.lab.models import LeNet5
from grader.lab.triggers.base import Trigger

Progress = Callable[[int, int, float], None]  # (steps done, steps in all, loss)
SHOWN = 500
"""Test images on which the distances are averaged (SSIM is slow)."""


@dataclass(frozen=True)
class Backdoor:
    """``model`` says ``target`` when it sees ``trigger``."""

    model: LeNet5
    trigger: Trigger
    target: int

    def to(self, device: torch.device | str) -> Backdoor:
        """Model and trigger on that device; they are moved, not copied."""
        return Backdoor(self.model.to(device), self.trigger.to(device), self.target)


@dataclass(frozen=True)
class Measured:
    """How a backdoor does on test images; the distances are of 8-bit images, averages over the first 500.

    Attributes:
        acc: accuracy on clean images.
        asr: share of triggered images of other classes that are called the target.
        untriggered: the same share without the trigger.
        linf: the largest change of a pixel, in grey levels; psnr: in dB; ssim: 1 for equal images.
    """

    acc: Rate
    asr: Rate
    untriggered: Rate
    linf: float
    psnr: float
    ssim: float


def put_on(trigger: Trigger, images: Images) -> Tensor:
    """Triggered copies as an image file would hold them: uint8 grey levels, (N, C, H, W)."""
    triggered = torch.empty(images.x.shape, dtype=torch.uint8, device=images.x.device)
    for chosen in torch.arange(len(images)).split(500):
        triggered[chosen] = (to_8bit(trigger(to_float(images.x[chosen]))) * 255).round().to(torch.uint8)
    return triggered


def rates(backdoor: Backdoor, test: Images) -> tuple[Rate, Rate]:
    """ACC and ASR alone, of images rounded to 8 bits."""
    triggered = predict(backdoor.model, put_on(backdoor.trigger, test))
    acc = accuracy(predict(backdoor.model, test.x), test.y)
    return acc, attack_success_rate(triggered, test.y, backdoor.target)


def measure(backdoor: Backdoor, test: Images) -> Measured:
    """ACC, ASR and visibility on ``test``; triggered images are rounded to 8 bits first, as a file would hold them."""
    x, y = test.x, test.y

    def put(images: Tensor) -> Tensor:
        return to_8bit(backdoor.trigger(images))

    clean, triggered = predict(backdoor.model, x), predict(backdoor.model, x, trigger=put)
    sample = to_float(x[:SHOWN])
    changed = put(sample)
    return Measured(
        acc=accuracy(clean, y),
        asr=attack_success_rate(triggered, y, backdoor.target),
        untriggered=attack_success_rate(clean, y, backdoor.target),
        linf=float(linf(sample, changed).max()) * 255,
        psnr=float(psnr(sample, changed).mean()),
        ssim=float(ssim(sample, changed).mean()),
    )


def save_backdoor(directory: Path, backdoor: Backdoor, measured: Measured | None = None) -> None:
    """Write ``model.safetensors``, ``trigger.safetensors`` and, last, ``backdoor.json``, which makes it complete."""
    from safetensors.torch import save

    save_weights(directory / "model.safetensors", backdoor.model)
    tensors = {name: value.detach().cpu().contiguous() for name, value in backdoor.trigger.tensors().items()}
    _write(directory / "trigger.safetensors", save(tensors))
    about = {
        "trigger": backdoor.trigger.name,
        "target": backdoor.target,
        "budget": backdoor.trigger.budget,
        "measured": None if measured is None else asdict(measured),
    }
    _write(directory / "backdoor.json", (json.dumps(about, indent=2) + "\n").encode())


def load_backdoor(directory: Path, triggers: Mapping[str, type[Trigger]]) -> Backdoor:
    """Read what ``save_backdoor`` wrote.

    Args:
        triggers: the known ones by name.

    Raises:
        DataError: a file is missing, damaged or not what it should be.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    remedy = "make it again with `python -m grader lab attack`"
    try:
        about = json.loads((directory / "backdoor.json").read_text(encoding="utf-8"))
        kind, target = triggers[about["trigger"]], about["target"]
        if not (type(target) is int and 0 <= target <= 9):
            raise ValueError(f"the target is {target!r}")
        trigger = kind.from_tensors(load_file(directory / "trigger.safetensors"))
        trigger(torch.zeros(1, 1, 28, 28))  # a trigger for other images is found here, with the file's name
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise DataError(f"{directory}: not a backdoored model ({error}); {remedy}") from error
    model = LeNet5()
    load_weights(directory / "model.safetensors", model)
    return Backdoor(model.eval(), trigger, target)


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
