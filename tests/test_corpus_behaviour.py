"""What the corpus says of itself, seen without the grader: styles behave as the solution does, mutants do not.

The functions are called in this process on random inputs, and everything that can be seen afterwards is compared:
results, gradients, what was changed in the arguments, what was raised.
"""

import ast
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests import observe_clean_label, observe_fine_pruning
from tests.corpus import Item, mutants, reference, styles

Observation = dict[str, Any]


def load(source: str, name: str) -> types.ModuleType:
    module = types.ModuleType(name)
    sys.modules[name] = module  # dataclasses look their module up
    exec(compile(source, f"{name}.py", "exec", dont_inherit=True), module.__dict__)  # noqa: S102
    return module


def source_of(item: Item) -> str:
    return next(content for name, content in item.files() if name == f"{item.part}.py").decode()


def attempt(action: Callable[[], Observation]) -> Observation:
    try:
        return action()
    except Exception as error:  # noqa: BLE001 what a submission raises is what it does
        return {"raised": type(error).__name__}


def state(tensor: Tensor) -> Observation:
    grad = tensor.grad if tensor.is_leaf else None
    return {
        "values": tensor.detach().clone(),
        "grad": None if grad is None else grad.detach().clone(),
        "flags": (tensor.is_leaf, tensor.requires_grad, tensor.dtype),
    }


def observe_trigger(
    module: types.ModuleType, generator: torch.Generator
) -> Iterator[Callable[[], Observation]]:
    def inside(shape: tuple[int, ...], size: float) -> Callable[[], Observation]:
        x = (0.3 + 0.4 * torch.rand(shape, generator=generator)).requires_grad_()
        delta = (size * (torch.rand(1, *shape[1:], generator=generator) - 0.5)).requires_grad_()
        weights = torch.randn(shape, generator=generator)

        def run() -> Observation:
            result = module.apply_trigger(x, delta)
            (result * weights).sum().backward()
            return {
                "result": state(result)["values"],
                "x": state(x),
                "delta": state(delta),
                "same": result is x,
            }

        return run

    def clipped(shape: tuple[int, ...]) -> Callable[[], Observation]:
        x = torch.rand(shape, generator=generator).round()
        delta = 3 * torch.rand(1, *shape[1:], generator=generator) - 1.5

        def run() -> Observation:
            result = module.apply_trigger(x, delta)
            return {"result": result.clone(), "type": type(result), "x": state(x), "delta": state(delta)}

        return run

    yield from (inside((4, 3, 5, 6), 0.2), inside((1, 1, 5, 5), 0.2), inside((3, 1, 5, 5), 0.0))
    yield from (clipped((4, 3, 5, 6)), clipped((3, 1, 7, 7)))


def observe_poison_step(
    module: types.ModuleType, generator: torch.Generator
) -> Iterator[Callable[[], Observation]]:
    def run_with(
        target: int, count: int, *, old_gradients: bool, clipped: bool = False
    ) -> Callable[[], Observation]:
        model = nn.Sequential(nn.Flatten(), nn.Linear(36, 20), nn.Tanh(), nn.Dropout(0.0), nn.Linear(20, 10))
        for parameter in model.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator) / 2
            if old_gradients:
                parameter.grad = torch.randn(parameter.shape, generator=generator)
        x = 0.3 + 0.4 * torch.rand(count, 1, 6, 6, generator=generator)
        delta = 0.2 * (torch.rand(1, 1, 6, 6, generator=generator) - 0.5)
        if clipped:  # or well inside, never on the kink
            x, delta = x.round() * 0.96 + 0.02, delta + 0.1 * delta.sign()
        delta.requires_grad_()
        if old_gradients:
            delta.grad = torch.randn(delta.shape, generator=generator)
        y = torch.randint(0, 10, (count,), generator=generator)
        y[: count // 3] = target

        def run() -> Observation:
            loss = module.poison_step(model, delta, x, y, target)
            parameters = {name: state(p) for name, p in model.named_parameters()}
            rest = {"x": x.clone(), "y": y.clone(), "training": model.training, "delta": state(delta)}
            return {"loss": loss, "type": isinstance(loss, float), **parameters, **rest}

        return run

    yield from (run_with(3, 9, old_gradients=False), run_with(3, 9, old_gradients=True))
    yield from (run_with(5, 40, old_gradients=False), run_with(0, 1, old_gradients=True))
    yield run_with(3, 9, old_gradients=False, clipped=True)


def observe_delta_step(
    module: types.ModuleType, generator: torch.Generator
) -> Iterator[Callable[[], Observation]]:
    optimizers: dict[str, Callable[[list[Tensor]], torch.optim.Optimizer]] = {
        "adam": lambda p: torch.optim.Adam(p, lr=0.02),
        "sgd": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
        "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.005),
    }

    def steps_with(name: str, epsilon: float) -> Callable[[], Observation]:
        delta = (0.1 * (torch.rand(1, 2, 5, 5, generator=generator) - 0.5)).requires_grad_()
        gradients = torch.randn(3, 1, 2, 5, 5, generator=generator)
        optimizer = optimizers[name]([delta])

        def run() -> Observation:
            seen: Observation = {}
            for step, gradient in enumerate(gradients):
                delta.grad = gradient.clone()
                module.delta_step(delta, optimizer, epsilon)
                delta.grad = None  # whether it is kept or cleared afterwards is nobody's business
                seen[str(step)] = state(delta)
            return seen

        return run

    for name in optimizers:
        yield from (steps_with(name, epsilon) for epsilon in (4 / 255, 8 / 255, 0.09, 1.0))


def observe_rate(module: types.ModuleType, generator: torch.Generator) -> Iterator[Callable[[], Observation]]:
    def run_with(target: int) -> Callable[[], Observation]:
        y = torch.randint(0, 10, (97,), generator=generator)
        predictions = torch.where(torch.rand(97, generator=generator) < 0.6, target, y.roll(1))

        def run() -> Observation:
            rate = module.attack_success_rate(predictions, y, target)
            return {"rate": rate, "type": isinstance(rate, float)}

        return run

    yield from (run_with(target) for target in (0, 4, 7))


PROBES: dict[str, dict[str, observe_clean_label.Probe]] = {
    "invisible_trigger": {
        "apply_trigger": observe_trigger,
        "poison_step": observe_poison_step,
        "delta_step": observe_delta_step,
        "attack_success_rate": observe_rate,
    },
    "clean_label": observe_clean_label.PROBES,
    "fine_pruning": observe_fine_pruning.PROBES,
}


def observe(part: str, source: str, function: str | None = None) -> dict[str, Observation]:
    """Everything that is seen of one function, or of all of the part."""
    module = load(source, "submission_of_the_corpus")
    found: dict[str, Observation] = {}
    for name, probe in PROBES[part].items():
        if function in (None, name):
            generator = torch.Generator().manual_seed(20)
            found |= {f"{name} {i}": attempt(run) for i, run in enumerate(probe(module, generator))}
    return found


def differences(found: Any, expected: Any, where: str = "") -> Iterator[str]:
    """The places where two observations differ by more than rounding."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in sorted(found.keys() | expected.keys(), key=str):
            if key not in found or key not in expected:
                yield f"{where} {key}"
            else:
                yield from differences(found[key], expected[key], f"{where} {key}")
    elif isinstance(expected, tuple) and isinstance(found, tuple) and len(found) == len(expected):
        for number, (a, b) in enumerate(zip(found, expected, strict=True)):
            yield from differences(a, b, f"{where} {number}")
    elif isinstance(expected, Tensor) and isinstance(found, Tensor):
        same_form = found.shape == expected.shape and found.dtype == expected.dtype
        if not same_form or not torch.allclose(found.double(), expected.double(), rtol=1e-4, atol=1e-6):
            yield where
    elif isinstance(expected, float) and isinstance(found, float):
        if not abs(found - expected) <= 1e-5 * max(1.0, abs(expected)):
            yield where
    elif type(found) is not type(expected) or found != expected:
        yield where


def probed(found: Sequence[Item]) -> list[Item]:
    """Those of the parts that have probes here."""
    return [item for item in found if item.part in PROBES]


@cache
def solution(part: str) -> dict[str, Observation]:
    return observe(part, reference(part))


@pytest.mark.parametrize("part", PROBES)
def test_the_solution_raises_nothing(part: str) -> None:
    assert not [name for name, seen in solution(part).items() if "raised" in seen]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("style", probed(styles()), ids=lambda item: f"{item.part}-{item.name}")
def test_a_style_behaves_as_the_solution(style: Item) -> None:
    assert list(differences(observe(style.part, source_of(style)), solution(style.part))) == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mutant", probed(mutants()), ids=lambda item: f"{item.part}-{item.name}")
def test_a_mutant_does_not(mutant) -> None:
    expected = {
        name: seen for name, seen in solution(mutant.part).items() if name.split()[0] == mutant.function
    }
    assert list(differences(observe(mutant.part, source_of(mutant), mutant.function), expected)) != []


def test_no_two_styles_are_the_same() -> None:
    assert len({ast.dump(ast.parse(source_of(style))) for style in styles()}) == len(styles())
