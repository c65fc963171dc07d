"""``python -m grader lab train NAME --out DIR``: train a clean model; its weights and its model card."""

from __future__ import annotations

import argparse
import dataclasses
import platform
from typing import TYPE_CHECKING, Any

from grader.experiments.common import add_usual_options, device_of, flushed_denormals, guarded, steps

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from grader.lab.data import Images

NAMES = ("lenet5", "resnet18")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "train",
        help="train a clean LeNet-5 on MNIST or ResNet-18 on CIFAR-10",
        description="Writes the weights and a model card to --out. ResNet-18 takes 30 to 60 minutes on two CPU cores; "
        "it keeps a checkpoint there after each epoch, from which the same command goes on.",
    )
    parser.add_argument("name", choices=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument(
        "--download",
        action="store_true",
        help="for `resnet18`: download CIFAR-10 (163 MiB) if it is not there",
    )
    add_usual_options(parser)
    parser.set_defaults(run=guarded(_run))


def _run(options: argparse.Namespace) -> None:
    (_train_lenet5 if options.name == "lenet5" else _train_resnet18)(options)


def _train_lenet5(options: argparse.Namespace) -> None:
    from grader.lab.data import load_mnist, save_weights
    from grader.lab.training import CleanSettings, clean_file_name, train_clean

    settings = CleanSettings()
    train = load_mnist("train", options.data_dir, grey_levels=True).to(device_of(options))
    test = load_mnist("test", options.data_dir, grey_levels=True)
    with steps(options.name) as progress:
        model = train_clean(train, settings, options.seed, progress).cpu()
    path = options.out / clean_file_name(settings, options.seed)
    save_weights(path, model)
    about = {"data": "MNIST, its 60,000 training images", "recipe": dataclasses.asdict(settings)}
    _finish(path, model, test, about, options)


def _train_resnet18(options: argparse.Namespace) -> None:
    from grader.lab.data import download_cifar10, load_cifar10, load_weights, save_weights
    from grader.lab.extractor import RESNET18
    from grader.lab.extractor_training import Recipe, fast_bfloat16, train_resnet18

    device = device_of(options)
    if options.download:
        download_cifar10(options.data_dir)
    train = load_cifar10("train", options.data_dir, grey_levels=True)
    test = load_cifar10("test", options.data_dir, grey_levels=True)
    recipe, bfloat16 = Recipe(), fast_bfloat16(device)
    with steps(options.name) as progress, flushed_denormals():
        model = train_resnet18(
            train, recipe, options.seed, device=device, bfloat16=bfloat16, checkpoint=options.out, progress=progress
        ).cpu()  # fmt: skip
    path = options.out / RESNET18.name
    save_weights(path, model, float16=True)
    load_weights(path, model)  # what is measured is what was kept
    about = {
        "data": "CIFAR-10, its 50,000 training images",
        "recipe": dataclasses.asdict(recipe),
        "arithmetic": "bfloat16 autocast" if bfloat16 else "float32",
    }
    _finish(path, model, test, about, options)


def _finish(
    path: Path, model: nn.Module, test: Images, about: dict[str, Any], options: argparse.Namespace
) -> None:
    """Measure, and write the card."""
    import torch

    from grader.lab.extractor import card_text
    from grader.lab.metrics import accuracy, predict
    from grader.outcome import write_whole

    rate = accuracy(predict(model, test.x), test.y)
    machine = {
        "device": options.device,
        "processor": f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    of_run = {
        "seed": options.seed,
        "test_accuracy": {"hits": rate.hits, "total": rate.total},
        "made_with": machine,
    }
    write_whole(path.with_suffix(".json"), card_text(path, model, {**about, **of_run}))
    print(f"{path}\ntest accuracy {rate}")
