"""The audit: honest gradients pass it at every step, dishonest ones are seen, and nothing is left changed."""

import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import solution.invisible_trigger as reference
from grader.audit import _Point, audited_model, objective
from grader.grading import Grading
from grader.isolation import ROOT
from grader.lab.data import batches, load_mnist
from grader.lab.models import LeNet5
from grader.lab.training import CleanSettings, clean_start
from grader.parts.invisible_trigger_steps import ChildStepper
from grader.spec import load_spec
from grader.student import StudentModule
from grader.wire import Frame
from tests.audit_power import Moment, chance, lies, spread
from tests.false_alarms import verdicts

EPSILON, TARGET = 8 / 255, 3


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Small batches gain nothing from a second thread, and lose much on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def moments() -> list[Moment]:
    """The first step, where delta sits on the clamp's kink, and steps 5 and 10."""
    return list(_run())


def _run() -> Iterator[Moment]:
    train = load_mnist("train")
    model = clean_start(CleanSettings(), 1, train)
    delta = torch.zeros(1, 1, 28, 28, requires_grad=True)
    optimizer, delta_optimizer = torch.optim.Adam(model.parameters(), 6e-3), torch.optim.Adam([delta], 1e-2)
    for step, (x, y) in enumerate(batches(train, 16, torch.Generator().manual_seed(2), 11)):
        reference.poison_step(model, delta, x, y, TARGET)
        if step % 5 == 0:
            yield Moment(model, delta, x, y, TARGET)
        optimizer.step()
        reference.delta_step(delta, delta_optimizer, EPSILON)


def test_honest_gradients_agree(moments: list[Moment]) -> None:
    for moment in moments:
        for seed in range(3):
            assert moment.audit(moment.gradients, seed).agrees
            assert moment.audit_delta(moment.delta_gradient, seed).agrees


def test_rounding_is_no_lie_where_a_batch_is_solved_to_float32_s_last_digit(moments: list[Moment]) -> None:
    x, y = moments[-1].x.float(), moments[-1].y
    delta = moments[-1].delta.float().requires_grad_()
    losses = []
    for bias in np.linspace(4, 26, 12):
        model = LeNet5()
        model.load_state_dict(moments[-1].double.state_dict())
        with torch.no_grad():
            model.fc3.bias[TARGET] += bias
            model.fc3.weight[TARGET] *= 4
        delta.grad = None
        reference.poison_step(model, delta, x, y, TARGET)
        solved = Moment(model, delta, x, y, TARGET)
        losses.append(objective(solved.double, solved.delta, solved.x, y, TARGET, clean_term=False))
        for seed in range(5):
            assert solved.audit(solved.gradients, seed).agrees
            assert solved.audit_delta(solved.delta_gradient, seed).agrees
            assert not solved.audit_delta(torch.ones_like(delta), seed).agrees
    assert losses[0] > 1e-5
    assert losses[-1] < 1e-9


def test_the_model_is_left_as_it_was(moments: list[Moment]) -> None:
    moment = moments[-1]
    before = {n: p.clone() for n, p in moment.double.named_parameters()}
    moment.audit(moment.gradients)
    for name, parameter in moment.double.named_parameters():
        torch.testing.assert_close(parameter, before[name], rtol=0, atol=1e-12)


def test_steering_towards_hidden_weights_is_seen(moments: list[Moment]) -> None:
    hidden = LeNet5()
    for moment in moments:
        steering = {
            n: (p.detach() - hidden.state_dict()[n]).float() for n, p in moment.double.named_parameters()
        }
        for factor in (1e-3, 1.0, 1e3):
            lie = {n: factor * g for n, g in steering.items()}
            assert not moment.audit(lie).agrees, factor


@pytest.mark.parametrize("layer", [n for n, _ in LeNet5().named_parameters()])
def test_a_lie_in_one_layer_is_seen(moments: list[Moment], layer: str) -> None:
    generator = torch.Generator().manual_seed(1)
    for share, least in ((1.0, 0.75), (0.1, 0.5)):
        caught = []
        for moment in moments[1:]:
            honest = moment.gradients[layer]
            noise = torch.randn(honest.shape, generator=generator)
            lie = {**moment.gradients, layer: honest + share * honest.norm() * noise / noise.norm()}
            caught += [not moment.audit(lie, seed).agrees for seed in range(2)]
        assert np.mean(caught) >= least, share


def test_a_layer_that_is_kept_still_is_seen(moments: list[Moment]) -> None:
    for moment in moments[1:]:
        lie = {**moment.gradients, "conv2.weight": torch.zeros_like(moment.gradients["conv2.weight"])}
        assert not moment.audit(lie).agrees


def test_a_wrong_gradient_of_delta_is_seen(moments: list[Moment]) -> None:
    for moment in moments[1:]:
        for lie in (-moment.delta_gradient, 2 * moment.delta_gradient, moment.delta_gradient.roll(3)):
            assert not moment.audit_delta(lie).agrees


def test_absurd_gradients_are_refused_and_not_a_crash(moments: list[Moment]) -> None:
    for value in (1e14, 1e-38, -1e14):
        lie = {n: torch.full_like(g, value) for n, g in moments[1].gradients.items()}
        assert not moments[1].audit(lie).agrees


def test_the_objective_is_the_reference_s_loss(moments: list[Moment]) -> None:
    moment = moments[2]
    delta = moment.delta.clone().requires_grad_()
    loss = reference.poison_step(moment.double, delta, moment.x, moment.y, TARGET)
    assert objective(moment.double, moment.delta, moment.x, moment.y, TARGET) == pytest.approx(
        loss, rel=1e-12
    )


def test_the_chance_to_catch_bad_steps_is_as_computed() -> None:
    """Against the very choice of steps that grading makes, with lies that are always, and mostly, seen."""
    steps, block, runs = 100, 50, 250
    rng = np.random.default_rng(3)
    for bad, seen in ((range(1, 11), 1.0), (range(26, 51), 0.8), (range(1, 71), 0.5)):
        bad_in_blocks = [sum(step <= block for step in bad), sum(step > block for step in bad)]
        caught = 0
        for run in range(runs):
            audited = steps_audited(steps, seed=run)
            assert len(audited) == steps // block
            caught += any(rng.random() < seen for step in audited if step in bad)
        expected = chance(bad_in_blocks, block, seen)
        assert abs(caught / runs - expected) < 4 * (expected * (1 - expected) / runs) ** 0.5 + 1e-9


def audited(folder: Path, steps: int, share: float) -> tuple[str | None, float | None]:
    """The finding of a training of so many steps, and how many of them were audited."""
    spec = load_spec()
    part = spec.invisible_trigger
    attack = dataclasses.replace(part.attack, steps=steps)
    part = dataclasses.replace(part, attack=attack, audit_share=share)
    short = dataclasses.replace(spec, invisible_trigger=part)
    with Grading(folder, short, isolation="none") as grading:
        finding = grading.outcome("invisible_trigger.outcome.asr").finding
        return finding, grading._runs["invisible_trigger"].metrics.get("audited_steps")


def test_each_block_is_audited_once_the_last_one_too() -> None:
    assert audited(ROOT / "solution", steps=6, share=0.5)[1] == 3


def test_the_child_waits_while_a_block_is_audited(monkeypatch: pytest.MonkeyPatch) -> None:
    at_work: list[bool] = [False]
    audits: list[bool] = []
    attack_step, audit = StudentModule.attack_step, ChildStepper._audit

    def asked(*arguments: Any, **named: Any) -> Frame:
        at_work[0] = True
        answer = attack_step(*arguments, **named)
        at_work[0] = False
        return answer

    def noted(*arguments: Any) -> None:
        audits.append(at_work[0])
        audit(*arguments)

    monkeypatch.setattr(StudentModule, "attack_step", asked)
    monkeypatch.setattr(ChildStepper, "_audit", noted)
    audited(ROOT / "solution", steps=6, share=0.5)
    assert audits == [False] * 3


@pytest.mark.parametrize("step", [1, 4, 5])
def test_a_lie_in_a_single_step_is_seen_if_that_is_audited(step: int, tmp_path: Path) -> None:
    honest = (ROOT / "solution" / "invisible_trigger.py").read_text(encoding="utf-8")
    # only in training: the single checks would find it first
    count = "training = len(x) > 100; steps.append(training)"
    lie = f"[*model.parameters()][-1].grad[0] += 1.0 * (training and sum(steps) == {step})"
    content = honest.replace("return loss.item()", f"{count}; {lie}; return loss.item()")
    (tmp_path / "invisible_trigger.py").write_text(f"steps = []\n{content}", encoding="utf-8")
    assert audited(tmp_path, steps=5, share=1.0)[0] == "audit_mismatch"


@pytest.mark.parametrize("seed", [*range(20), 2334])  # in the last one float32 takes the other side of a kink
def test_honest_gradients_of_a_few_images_pass(seed: int) -> None:
    assert all(verdict.agrees for verdict in verdicts(seed))


def test_the_audited_model_is_the_model() -> None:
    model = LeNet5()
    double = audited_model(model)
    x = torch.rand(5, 1, 28, 28, dtype=torch.float64)
    torch.testing.assert_close(double(x), model.double()(x), rtol=1e-12, atol=1e-12)
    assert all(p.is_contiguous() for p in double.parameters())


@pytest.mark.parametrize(
    ("claimed", "agrees", "points"),
    [
        (0.5, True, 6),  # among what nearby points give: a few of them are enough
        (1.9, True, 24),  # farther off than a few points can excuse, and within the spread of all
        (9.0, False, 24),  # a lie is judged by all of them
    ],
)
def test_near_a_kink_a_few_points_acquit_and_all_convict(
    claimed: float, agrees: bool, points: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    def derivative(*_: object) -> float:
        asked.append(float(len(asked) % 2))  # half of the points lie on either side
        return asked[-1]

    monkeypatch.setattr("grader.audit._Point.derivative", derivative)
    x, y, delta = torch.zeros(3, 1, dtype=torch.float64)
    point = _Point(torch.nn.Linear(1, 1).double(), delta, x, y, TARGET, None)
    distance = point._distance_near_kink({}, claimed, np.random.default_rng(0))
    assert (distance <= 0) == agrees
    assert len(asked) == points


def test_threads_that_share_a_batch_find_the_same() -> None:
    double = audited_model(LeNet5())
    x, y = torch.rand(70, 1, 28, 28, dtype=torch.float64), torch.randint(10, (70,))
    delta = torch.full((1, 1, 28, 28), EPSILON, dtype=torch.float64)
    with ThreadPoolExecutor(2) as pool:
        assert objective(double, delta, x, y, TARGET, pool=pool) == objective(double, delta, x, y, TARGET)


def test_a_liar_s_best_choice_is_to_spread() -> None:
    for bad in (2, 13, 40):
        even = chance(spread(bad, 13), 50, 0.9)
        assert even <= chance([bad, *[0] * 12], 50, 0.9)
        assert sum(spread(bad, 13)) == bad
    assert chance(spread(650, 13), 50, 1.0) == 1.0


def steps_audited(steps: int, seed: int) -> list[int]:
    stepper = ChildStepper.__new__(ChildStepper)
    stepper._spec = load_spec().invisible_trigger
    stepper._rng = np.random.default_rng(seed)
    found = []
    for stepper.step in range(1, steps + 1):
        if stepper._is_audited():
            found.append(stepper.step)
    return found


def test_whatever_is_steered_in_full_is_seen(moments: list[Moment]) -> None:
    for name, lie in lies().items():
        if "hundredth" not in name and "thousandth" not in name:
            assert all(moment.is_caught(lie, seed) for seed, moment in enumerate(moments[1:])), name
