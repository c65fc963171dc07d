"""Prints the benchmarks of ``make bench``; figures in the README come from here.

    python -m tests.bench [steps|usual|grade|class|defences|clean_label ...] [--runs 5] [--save]

- ``steps``: the same training steps through the sandbox and in one process, in turns of a few steps.
- ``usual``: our training against the usual course code, both to the public spec's thresholds.
- ``grade``: one whole grading of the reference solution, by phase, with its peak memory; without CIFAR-10, which few
  students have.
- ``class``: small classes in one batch, with one job and with two.
- ``clean_label``: feature collisions on ResNet-18 against ART's; needs CIFAR-10 and the extra ``bench``.
- ``defences``: Activation Clustering and STRIP beside ART's (extra ``bench``), on the same model and data.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import gzip
import importlib.util
import io
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

import torch
from torch import Tensor, nn

from grader.batch.ledger import grader_hash
from grader.contract import INVISIBLE_TRIGGER
from grader.isolation import ROOT, available_isolation
from grader.lab.data import DATA_DIR, Images, load_mnist
from grader.lab.metrics import accuracy, attack_success_rate, predict
from grader.lab.models import LeNet5
from grader.lab.training import AttackSettings, Stepper, clean_start, train_backdoor
from grader.outcome import write_whole
from grader.spec import load_spec
from tests.bench import breakdown, class_batch, steps, usual_course_code
from tests.bench.memory import PeakPss
from tests.bench.poison_frogs import bench_clean_label

MEASURED = Path(__file__).with_name("measured")


def summary(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):7.2f} s (min {min(seconds):.2f}, max {max(seconds):.2f}, {len(seconds)} runs)"


def bench_steps(runs: int) -> None:
    """The whole loop: sandboxed and audited, against one process with as many threads as the child has."""
    attack = load_spec().invisible_trigger.attack
    print(f"{attack.steps} steps of the attack, batch {attack.batch_size}, in turns of {steps.TURN} steps:")
    found = steps.measure(runs)
    for name, seconds in found.items():
        print(f"  {name:29}{summary(seconds)}  ratio {_ratio(seconds, found[steps.LOCAL]):.3f}")


def _time_loop(model: LeNet5, stepper: Stepper, attack: AttackSettings, train: Images, seed: int) -> float:
    """Seconds of the training loop, the model's copying and loading left out."""
    generator = torch.Generator().manual_seed(seed)
    started = time.perf_counter()
    train_backdoor(model, stepper, train, attack, generator)
    return time.perf_counter() - started


def bench_usual(runs: int) -> None:
    """Time to the thresholds: ours (a fixed number of steps, in one process) against the usual course code."""
    spec = load_spec()
    part = spec.invisible_trigger
    train, test = load_mnist("train", grey_levels=True), load_mnist("test")
    start = clean_start(part.clean, part.clean_seed, train)
    torch.set_num_threads(2)

    def reached(model: nn.Module, delta: Tensor) -> bool:
        acc = accuracy(predict(model, test.x), test.y).value
        triggered = predict(model, (test.x + delta).clamp(0, 1))
        return (
            acc >= part.thresholds.acc
            and attack_success_rate(triggered, test.y, part.target).value >= part.thresholds.asr
        )

    ours, usual, counts = [], [], []
    for run in range(runs):
        model, stepper = copy.deepcopy(start), steps.local_stepper(spec)
        ours.append(_time_loop(model, stepper, part.attack, train, run))
        if not reached(model, stepper.delta):
            raise RuntimeError(f"run {run}: our own training missed the thresholds")
        with tempfile.TemporaryDirectory() as folder:
            root = _torchvision_root(Path(folder))
            plain = copy.deepcopy(start).to(memory_format=torch.contiguous_format)
            seconds, count = usual_course_code.train(
                plain, root, target=part.target, epsilon=part.epsilon, seed=run, reached=reached
            )
        usual.append(seconds)
        counts.append(count)
    print(f"to ACC >= {part.thresholds.acc} and ASR >= {part.thresholds.asr}, from the same clean start:")
    print(f"  usual course code           {summary(usual)}, {statistics.median(counts):.0f} steps")
    print(f"  ours, {part.attack.steps} steps             {summary(ours)}")
    print(f"  ratio ours / usual          {_ratio(ours, usual):.2f}")


def _torchvision_root(folder: Path) -> Path:
    """torchvision reads the unpacked files."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for path in (DATA_DIR / "MNIST" / "raw").glob("*.gz"):
        (raw / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    return folder


def bench_grade(runs: int) -> None:
    """``python -m grader grade`` on the solution, with pictures, as a user starts it: part 1 alone, and everything."""
    for what, options in (
        ("part 1", ("--part", INVISIBLE_TRIGGER.name)),
        ("all four parts", ()),
    ):
        epochs, gradings = zip(
            *((_time_usual_epoch(), _time_grading(options)) for _ in range(runs)), strict=True
        )
        totals, parts = zip(*gradings, strict=True)
        training = [seconds[breakdown.TRAINING] for seconds in parts]
        rest = [a - b for a, b in zip(totals, training, strict=True)]
        print(f"one grading of the reference solution, {what}, with report and pictures:")
        print(f"  in all                      {summary(totals)}")
        print(f"  training (audited)          {summary(training)}")
        print(f"  everything else             {summary(rest)}")
        for name in breakdown.PARTS:
            if name != breakdown.TRAINING and (spent := statistics.median(s.get(name, 0.0) for s in parts)):
                print(f"    {name:26}{spent:7.2f} s")
        print(f"  peak PSS of all processes   {_peak_memory(options) / 2**20:7.0f} MiB")
        print("  one attack epoch, 60,000 images, of the usual course code, before each of these:")
        print(f"    its time                  {summary(epochs)}")
        print(f"    in all / its time         {_ratio(totals, epochs):7.2f}")
        print(f"    everything else / its time{_ratio(rest, epochs):7.2f}")


def _ratio(seconds: Sequence[float], others: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(seconds, others, strict=True))


def _time_usual_epoch() -> float:
    """The yardstick: machines, and the hours of one, differ by more than what a change to the grader gains."""
    part = load_spec().invisible_trigger
    with tempfile.TemporaryDirectory() as folder:
        root = _torchvision_root(Path(folder))
        model = LeNet5().to(memory_format=torch.contiguous_format)
        return usual_course_code.time_epoch(model, root, target=part.target, epsilon=part.epsilon, seed=0)


def _time_grading(options: Sequence[str]) -> tuple[float, dict[str, float]]:
    """Seconds of one grading, and of each part of ``breakdown.PARTS`` in it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "parts.json"
        started = time.perf_counter()
        watched = ("tests.bench.breakdown", str(time.time()), str(file))
        _start_grading(folder, options, module=watched).wait()
        total = time.perf_counter() - started
        parts: dict[str, float] = json.loads(file.read_text(encoding="utf-8"))
    parts[breakdown.REST] += total - sum(parts.values())  # the end of the process
    return total, parts


def _peak_memory(options: Sequence[str]) -> int:
    """Bytes of one grading; apart from its time, since looking at memory takes some."""
    with tempfile.TemporaryDirectory() as folder:
        process = _start_grading(folder, options)
        memory = PeakPss(lambda: process.pid)
        process.wait()
        return memory.stop()


def _start_grading(
    folder: str, options: Sequence[str], *, module: Sequence[str] = ("grader",)
) -> subprocess.Popen[bytes]:
    grade = [sys.executable, "-m", *module, "grade", "--submission", "solution"]
    command = [*grade, "--report", folder, *options]
    environment = {name: value for name, value in os.environ.items() if name != "BACKDOOR_LAB_DATA"}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def bench_defences(runs: int) -> None:
    """Our defences beside ART's; says what is missing where ART is not installed."""
    if importlib.util.find_spec("art") is None:
        print("defences: not run, ART is not installed: pip install -e '.[bench]'")
        return
    from tests.bench import defences

    defences.bench_defences(runs)


class _Both:
    """Writes to two streams."""

    def __init__(self, *streams: TextIO) -> None:
        self._streams = streams

    def write(self, text: str) -> int:
        for stream in self._streams:
            stream.write(text)
        return len(text)

    def flush(self) -> None:
        for stream in self._streams:
            stream.flush()


def bench_class(runs: int) -> None:
    """A class in one batch: what a submission costs beyond its own training, and what a second job gains."""
    class_batch.show(class_batch.Class(size=8, steps=100), runs)


BENCHMARKS: dict[str, Callable[[int], None]] = {
    "steps": bench_steps,
    "usual": bench_usual,
    "grade": bench_grade,
    "class": bench_class,
    "clean_label": bench_clean_label,
    "defences": bench_defences,
}


def _machine() -> str:
    return (
        f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, "
        f"{torch.backends.cpu.get_cpu_capability()}, isolation {available_isolation()[0]}, grader {grader_hash()}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)} (default: all)")
    parser.add_argument("--runs", type=int, default=5, help="of each alternative")
    parser.add_argument(
        "--save", action="store_true", help=f"keep what each printed in {MEASURED.name}/NAME.txt"
    )
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    for name in options.names or BENCHMARKS:
        said = io.StringIO()
        with contextlib.redirect_stdout(_Both(sys.stdout, said)):
            BENCHMARKS[name](options.runs)
            print(f"({_machine()})\n")
        if options.save:
            MEASURED.mkdir(exist_ok=True)
            write_whole(MEASURED / f"{name}.txt", said.getvalue())
    return 0


if __name__ == "__main__":
    sys.exit(main())
