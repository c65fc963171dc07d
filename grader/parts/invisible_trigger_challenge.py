"""The leaderboard: part 1's attack once more, with the student's functions, epsilon and settings (``challenge.toml``).

No points, and nothing that happens here touches the score. An entry is ranked by its epsilon if it still reaches the
goal: triggered images are rounded to 8 bits, as a file would hold them, the ASR is at least the spec's (99 %), and the
ACC is at most so much (0.2 points) below the clean start's on the same test images.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch

from grader.challenge import Entry
from grader.lab.metrics import accuracy, attack_success_rate, predict, to_8bit
from grader.lab.training import clean_start, hold_out, train_backdoor
from grader.parts.invisible_trigger_attack import Data, load_data
from grader.parts.invisible_trigger_steps import ChildStepper
from grader.parts.run import PartRun
from grader.processors import beside_a_child
from grader.spec import Spec

MAY_DISAGREE = 0.05
"""The share of audits that may disagree. The audit's tolerance is that of the graded attack, 650 steps. In 3000 steps
the loss becomes so small that float32's rounding shows in an honest gradient now and then: 1 of 40 audits in one run of
the solution (4/255, 2800 steps) was off. Steering the weights takes hundreds of steps and cannot live on these few."""


@dataclass(frozen=True)
class Reached:
    """What an entry came to, on the test images; shares in [0, 1].

    Attributes:
        asr: of triggered images rounded to 8 bits.
        acc_drop: ACC of the clean start minus ACC of the backdoored model; negative where it became better.
        is_goal: asr and acc_drop are as the spec wants them.
    """

    asr: float
    acc_drop: float
    is_goal: bool


def spec_for(spec: Spec, entry: Entry) -> Spec:
    """The spec with the entry's epsilon and settings, and the challenge's time limit."""
    part = dataclasses.replace(spec.invisible_trigger, epsilon=entry.epsilon, attack=entry.attack)
    limits = dataclasses.replace(spec.limits, run_seconds=spec.challenge.training_seconds)
    return dataclasses.replace(spec, limits=limits, invisible_trigger=part)


def run_entry(run: PartRun) -> Reached:
    """Train and measure, under the spec of ``spec_for``.

    Raises:
        Finding: the student's code failed, took too long or returned something else than gradients of the objective.
        MachineFault: training did not end in time, and the student's code is not the reason.
    """
    spec, goal = run.spec.invisible_trigger, run.spec.challenge
    torch.set_num_threads(run.spec.threads.parent)
    data: Data = load_data(spec.split_seed)
    model = clean_start(spec.clean, spec.clean_seed, data.train, split_seed=spec.split_seed)
    before = accuracy(predict(model, data.test.x), data.test.y)
    stepper = ChildStepper(run, may_disagree=MAY_DISAGREE)
    train, _ = hold_out(data.train)
    report = run.progress or (lambda what, done, total: None)
    with beside_a_child(run.spec.threads.child, own=run.spec.threads.parent):
        train_backdoor(
            model, stepper, train, spec.attack, torch.Generator().manual_seed(run.spec.seed),
            progress=lambda done, total, _: report("challenge", done, total),
        )  # fmt: skip
    torch.set_num_threads(max(run.spec.threads.parent, run.spec.threads.child))
    delta, test = stepper.delta, data.test
    acc = accuracy(predict(model, test.x), test.y)
    triggered = predict(model, test.x, trigger=lambda x: to_8bit((x + delta).clamp(0, 1)))
    asr = attack_success_rate(triggered, test.y, spec.target)
    # counted in images, so that no rounding decides: 0.2 points of 10,000 images are 20
    drop = (before.hits - acc.hits) / before.total
    reached = asr.value >= goal.least_asr and drop <= goal.largest_acc_drop
    return Reached(asr.value, drop, reached)
