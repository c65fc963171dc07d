"""The lab's Adam and schedule against PyTorch's own, to the last bit."""

import subprocess
import sys

import torch

from grader.isolation import ROOT
from grader.lab.adam import Adam, CosineSchedule


def test_the_steps_are_those_of_torch() -> None:
    generator = torch.Generator().manual_seed(3)
    shapes = ((5, 3), (7,), (2, 1, 3, 3))
    ours = [torch.randn(shape, generator=generator) for shape in shapes]
    theirs = [p.clone() for p in ours]
    adam, reference = (
        Adam(ours, 8e-3, (0.8, 0.95)),
        torch.optim.Adam(theirs, 8e-3, betas=(0.8, 0.95), foreach=True),
    )
    schedule, reference_schedule = (
        CosineSchedule(adam, 30),
        torch.optim.lr_scheduler.CosineAnnealingLR(reference, 30),
    )
    for _ in range(30):
        for p, q in zip(ours, theirs, strict=True):
            p.grad = torch.randn(p.shape, generator=generator)
            q.grad = p.grad.clone()
        for stepper in (adam, reference, schedule, reference_schedule):
            stepper.step()
    assert all(torch.equal(p, q) for p, q in zip(ours, theirs, strict=True))
    assert adam.lr == reference_schedule.get_last_lr()[0] == 0


def test_a_parameter_without_gradient_stays() -> None:
    moved, still = torch.ones(3), torch.ones(3)
    moved.grad = torch.ones(3)
    Adam([still, moved], 0.1).step()
    assert torch.equal(still, torch.ones(3))
    assert not torch.equal(moved, torch.ones(3))


def test_it_does_not_start_the_compiler() -> None:
    code = (
        "import sys, torch; from grader.lab.adam import Adam; p = torch.ones(2); p.grad = p.clone(); "
        "Adam([p], 0.1).step(); sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
