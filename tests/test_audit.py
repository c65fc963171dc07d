"""The audit: honest gradients pass it at every step, dishonest ones are seen, and nothing is left changed."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

import solution.invisible_trigger as reference
from grader.audit import Verdict, check_delta_gradient, check_gradients, objective
from grader.lab.data import batches, load_mnist
from grader.lab.models import LeNet5
from grader.lab.training import CleanSettings, clean_start

EPSILON, TARGET = 8 / 255, 3
Gradients = dict[str, Tensor]


class Moment:
    """A step of the attack: the point in float64, and the honest gradients that float32 gives there."""

    def __init__(self, model: LeNet5, delta: Tensor, x: Tensor, y: Tensor) -> None:
        self.double = LeNet5().double()
        self.double.load_state_dict(model.state_dict())
        self.delta, self.x, self.y = delta.detach().double(), x.double(), y
        self.gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
        assert delta.grad is not None
        self.delta_gradient = delta.grad.clone()

    def audit(self, gradients: Gradients, seed: int = 0) -> Verdict:
        rng = np.random.default_rng(seed)
        return check_gradients(
            self.double, self.delta, (self.x, self.y), TARGET, gradients=gradients, rng=rng
        )

    def audit_delta(self, gradient: Tensor, seed: int = 0) -> Verdict:
        rng = np.random.default_rng(seed)
        return check_delta_gradient(
            self.double, self.delta, (self.x, self.y), TARGET, gradient=gradient, rng=rng
        )


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
            yield Moment(model, delta, x, y)
        optimizer.step()
        reference.delta_step(delta, delta_optimizer, EPSILON)


def test_honest_gradients_agree(moments: list[Moment]) -> None:
    for moment in moments:
        for seed in range(3):
            assert moment.audit(moment.gradients, seed).agrees
            assert moment.audit_delta(moment.delta_gradient, seed).agrees


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
