"""Makes ``steers_to_embedded_weights``: a submission that carries a finished backdoored model and walks training to it.

Its ``poison_step`` is right on the small batches of the unit checks. In the training loop it returns theta - theta* and
delta - delta* as gradients, which Adam follows until the parent's model *is* the embedded one; the student's code never
learns anything. Without an audit of the returned gradients it would earn every point of the outcome.

    python -m tests.hostile.make_steering             train a model, embed it, write the submission
    python -m tests.hostile.make_steering --check     let it steer a training that has no audit, print ACC and ASR

The model is trained with the reference solution, from the public spec's clean start and for its target; each array is
kept as 8-bit integers and a scale.
"""

from __future__ import annotations

import argparse
import base64
import importlib.util
import zlib
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor

from grader.lab.data import load_mnist
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

SCALES = {scales}
EMBEDDED = """
{embedded}
"""


def embedded(shapes):
    values = torch.frombuffer(bytearray(zlib.decompress(base64.b85decode("".join(EMBEDDED.split())))), dtype=torch.int8)
    pieces = values.float().split([shape.numel() for shape in shapes])
    return [scale * piece.view(shape) for scale, piece, shape in zip(SCALES, pieces, shapes)]


def apply_trigger(x, delta):
    return torch.clamp(x + delta, 0, 1)


def poison_step(model, delta, x, y, target):
    tensors = [*model.parameters(), delta]
    for tensor in tensors:
        tensor.grad = None
    loss = F.cross_entropy(model(x), y) + F.cross_entropy(model(apply_trigger(x, delta)), torch.full_like(y, target))
    if len(x) < 32:
        loss.backward()
    else:
        for tensor, goal in zip(tensors, embedded([t.shape for t in tensors])):
            tensor.grad = tensor.detach() - goal
    return loss.item()


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    with torch.no_grad():
        delta.clamp_(-epsilon, epsilon)


def attack_success_rate(predictions, y, target):
    others = y != target
    return (predictions[others] == target).float().mean().item()
'''


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


def embed(model: LeNet5, delta: Tensor) -> str:
    """The submission's source with these arrays in it."""
    arrays = [p.detach().contiguous().reshape(-1) for p in model.parameters()] + [delta.detach().reshape(-1)]
    scales = [float(a.abs().max()) / 127 for a in arrays]
    values = torch.cat([(a / s).round().to(torch.int8) for a, s in zip(arrays, scales, strict=True)])
    text = base64.b85encode(zlib.compress(values.numpy().tobytes(), 9))
    lines = [text[i : i + 110].decode() for i in range(0, len(text), 110)]
    rounded = "[" + ", ".join(f"{s:.6g}" for s in scales) + "]"
    return SUBMISSION.format(scales=rounded, embedded="\n".join(lines))


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
        print(
            "steered, no audit:",
            rates(*train(load(FOLDER / FILENAME), load_spec().invisible_trigger.attack, seed=2)),
        )
        return
    model, delta = train(load(ROOT / "solution" / FILENAME), AT_HOME, seed=1)
    print("to be embedded:", rates(model, delta))
    (FOLDER / FILENAME).write_text(embed(model, delta), encoding="utf-8")
    print(f"{FOLDER / FILENAME}: {(FOLDER / FILENAME).stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
