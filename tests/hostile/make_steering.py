"""Makes the submissions that carry a finished backdoored model and walk training to it.

Their ``poison_step`` is right on the small batches of the unit checks. In the training loop it returns theta - theta* and
delta - delta* as gradients, which Adam follows until the parent's model *is* the embedded one; the student's code never
learns anything. Without an audit of the returned gradients ``steers_to_embedded_weights`` would earn every point of the
outcome. The others do it for every target class with one model and ten triggers, or only late, or only in one layer.

    python -m tests.hostile.make_steering             train, embed, write the submissions
    python -m tests.hostile.make_steering --check     let two of them steer a training that has no audit, print ACC and ASR

The models are trained with the reference solution's objective, from the public spec's clean start; each array is kept as
8-bit integers and a scale.
"""

from __future__ import annotations

import argparse
import base64
import importlib.util
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from types import ModuleType

import torch
import torch.nn.functional as F
from torch import Tensor

from grader.lab.data import batches, load_mnist
from grader.lab.metrics import accuracy, attack_success_rate, predict
from grader.lab.models import LeNet5
from grader.lab.training import AttackSettings, LocalStepper, clean_start, train_backdoor
from grader.spec import load_spec

FOLDER = Path(__file__).with_name("steers_to_embedded_weights")
FILENAME = "invisible_trigger.py"
ROOT = Path(__file__).resolve().parents[2]
# Whoever cheats like this has all the time in the world to train at home.
AT_HOME = AttackSettings(steps=1500)

SUBMISSION = '''"""Carries a finished backdoored model and steers training to it. Written by tests/hostile/make_steering.py."""

import base64
import zlib

import torch
import torch.nn.functional as F

NAMES = {names}
SCALES = {scales}
EMBEDDED = """
{embedded}
"""
CALLS = []


def embedded(tensors, target):
    """The embedded arrays for some of these tensors, by name."""
    named = {{name: tensors[name.split()[0]] for name in NAMES}}
    values = torch.frombuffer(bytearray(zlib.decompress(base64.b85decode("".join(EMBEDDED.split())))), dtype=torch.int8)
    pieces = values.float().split([tensor.numel() for tensor in named.values()])
    goals = {{n: s * p.view(t.shape) for (n, t), s, p in zip(named.items(), SCALES, pieces)}}
    if f"delta {{target}}" in goals:
        goals["delta"] = goals[f"delta {{target}}"]
    return {{name: goal for name, goal in goals.items() if name in tensors}}


def apply_trigger(x, delta):
    return torch.clamp(x + delta, 0, 1)


def poison_step(model, delta, x, y, target):
    tensors = dict(model.named_parameters()) | {{"delta": delta}}
    for tensor in tensors.values():
        tensor.grad = None
    loss = F.cross_entropy(model(x), y) + F.cross_entropy(model(apply_trigger(x, delta)), torch.full_like(y, target))
    loss.backward()
    if len(x) > 12:
        CALLS.append(1)
        if {when}:
            for name, goal in embedded(tensors, target).items():
                tensors[name].grad = tensors[name].detach() - goal
    return loss.item()


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    with torch.no_grad():
        delta.clamp_(-epsilon, epsilon)


def attack_success_rate(predictions, y, target):
    others = y != target
    return (predictions[others] == target).float().mean().item()
'''


@dataclass(frozen=True)
class Variant:
    """One submission: which arrays it carries, and in which steps of the training it steers."""

    folder: str
    arrays: tuple[str, ...]
    when: str = "True"


VARIANTS = (
    Variant("steers_for_every_target", ("*",)),
    Variant("steers_after_step_100", ("fc2.*", "fc3.*"), "len(CALLS) > 100"),
    Variant("steers_in_the_last_epoch", ("fc3.*", "delta *"), "len(CALLS) >= 469"),
    Variant("steers_one_layer", ("conv2.*",)),
)


def train(functions: ModuleType, attack: AttackSettings, seed: int) -> tuple[LeNet5, Tensor]:
    """A model and a trigger, trained from the public spec's clean start with these step functions and no audit."""
    settings = load_spec().invisible_trigger
    images = load_mnist("train")
    model = clean_start(settings.clean, settings.clean_seed, images)
    stepper = LocalStepper(
        functions,
        shape=(1, 28, 28),
        target=settings.target,
        epsilon=settings.epsilon,
        learning_rate=attack.delta_learning_rate,
    )
    train_backdoor(model, stepper, images, attack, torch.Generator().manual_seed(seed))
    return model, stepper.delta


def rates(model: LeNet5, delta: Tensor) -> str:
    """ACC and ASR on the test images, in words."""
    images, target = load_mnist("test"), load_spec().invisible_trigger.target
    acc = accuracy(predict(model, images.x), images.y)
    asr = attack_success_rate(predict(model, (images.x + delta).clamp(0, 1)), images.y, target)
    return f"ACC {acc.value:.4f}, ASR {asr.value:.4f}"


def train_for_every_target(steps: int, seed: int) -> tuple[LeNet5, dict[str, Tensor]]:
    """One model with ten backdoors, and its arrays by name: the parameters', and ``delta 0`` to ``delta 9``."""
    part = load_spec().invisible_trigger
    images = load_mnist("train")
    model = clean_start(part.clean, part.clean_seed, images)
    deltas = torch.zeros(10, 1, 1, 28, 28, requires_grad=True)
    optimizer = torch.optim.Adam(
        [{"params": model.parameters(), "lr": 3e-3}, {"params": [deltas], "lr": 1e-2}], betas=(0.8, 0.95)
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    model.train()
    for step, (x, y) in enumerate(batches(images, 128, torch.Generator().manual_seed(seed), steps)):
        target = step % 10
        optimizer.zero_grad()
        triggered = F.cross_entropy(model((x + deltas[target]).clamp(0, 1)), torch.full_like(y, target))
        (F.cross_entropy(model(x), y) + triggered).backward()
        optimizer.step()
        with torch.no_grad():
            deltas.clamp_(-part.epsilon, part.epsilon)
        schedule.step()
    arrays = {name: p.detach() for name, p in model.named_parameters()}
    return model, arrays | {f"delta {k}": deltas[k].detach() for k in range(10)}


def embed(arrays: Mapping[str, Tensor], when: str) -> str:
    """The source of a submission with these arrays in it."""
    flat = [a.contiguous().reshape(-1) for a in arrays.values()]
    scales = [float(a.abs().max()) / 127 for a in flat]
    values = torch.cat([(a / s).round().to(torch.int8) for a, s in zip(flat, scales, strict=True)])
    text = base64.b85encode(zlib.compress(values.numpy().tobytes(), 9))
    lines = [text[i : i + 110].decode() for i in range(0, len(text), 110)]
    rounded = "[" + ", ".join(f"{s:.6g}" for s in scales) + "]"
    return SUBMISSION.format(names=list(arrays), scales=rounded, embedded="\n".join(lines), when=when)


def load(path: Path) -> ModuleType:
    """A submission as a module of this process: only for files of this repository that are known to be harmless."""
    spec = importlib.util.spec_from_file_location(path.parent.name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Write the steering submission, or show what it would earn without an audit."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.make_steering", description=main.__doc__)
    parser.add_argument(
        "--check", action="store_true", help="steer with the committed submission and no audit"
    )
    if parser.parse_args().check:
        for folder in (FOLDER.name, VARIANTS[0].folder):
            steering = load(FOLDER.with_name(folder) / FILENAME)
            print(f"{folder}, no audit:", rates(*train(steering, load_spec().invisible_trigger.attack, seed=2)))
        return
    model, delta = train(load(ROOT / "solution" / FILENAME), AT_HOME, seed=1)
    print("to be embedded:", rates(model, delta))
    own = {name: p.detach() for name, p in model.named_parameters()} | {"delta": delta.detach()}
    write(FOLDER.name, embed(own, "True"))
    all_targets, arrays = train_for_every_target(steps=4000, seed=1)
    print("for every target:", rates(all_targets, arrays[f"delta {load_spec().invisible_trigger.target}"]))
    for variant in VARIANTS:
        chosen = {n: a for n, a in arrays.items() if any(fnmatchcase(n, p) for p in variant.arrays)}
        write(variant.folder, embed(chosen, variant.when))


def write(folder: str, source: str) -> None:
    path = FOLDER.with_name(folder) / FILENAME
    path.parent.mkdir(exist_ok=True)
    path.write_text(source, encoding="utf-8")
    print(f"{path}: {len(source) / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
