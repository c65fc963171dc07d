"""What can be seen of the four functions of ``clean_label.py``: for ``test_corpus_behaviour.py``."""

import types
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from grader.lab.models import ResNet18, TanhFeatures, initialise

Observation = dict[str, Any]
Probe = Callable[[types.ModuleType, torch.Generator], Iterator[Callable[[], Observation]]]


def extractor(model: nn.Module, generator: torch.Generator) -> Callable[[Tensor], Tensor]:
    initialise(model, generator)
    features: Callable[[Tensor], Tensor] = model.eval().requires_grad_(False).features  # type: ignore[assignment]
    return features


def untouched(**tensors: Tensor) -> Observation:
    return {name: (t.detach().clone(), t.requires_grad) for name, t in tensors.items()}


def observe_forward_step(
    module: types.ModuleType, generator: torch.Generator
) -> Iterator[Callable[[], Observation]]:
    def with_images(count: int, size: float) -> Callable[[], Observation]:
        features = extractor(TanhFeatures(channels=2, height=4, width=5, dim=16), generator)
        x = torch.rand(count, 2, 4, 5, generator=generator)
        targets = torch.rand(count, 16, generator=generator) - 0.5
        steps = size * (0.5 + torch.rand(count, 1, 1, 1, generator=generator))

        def run() -> Observation:
            result = module.forward_step(features, x, targets, steps)
            seen = untouched(x=x, targets=targets, steps=steps)
            return {"result": result.detach().clone(), "graph": result.requires_grad, **seen}

        return run

    yield from (with_images(1, 0.3), with_images(5, 0.3), with_images(4, 5.0))


def observe_backward_step(
    module: types.ModuleType, generator: torch.Generator
) -> Iterator[Callable[[], Observation]]:
    def with_values(spread: float, beta: float) -> Callable[[], Observation]:
        forward = 0.5 + spread * (torch.rand(4, 3, 5, 5, generator=generator) - 0.5)
        base = torch.rand(4, 3, 5, 5, generator=generator)
        steps = torch.rand(4, 1, 1, 1, generator=generator)

        def run() -> Observation:
            result = module.backward_step(forward, base, steps, beta)
            return {"result": result.clone(), **untouched(forward=forward, base=base, steps=steps)}

        return run

    yield from (with_values(0.5, 1.5), with_values(4.0, 0.7), with_values(1.0, 0.0))


def observe_choose_bases(
    module: types.ModuleType, generator: torch.Generator
) -> Iterator[Callable[[], Observation]]:
    def with_count(count: int) -> Callable[[], Observation]:
        candidates = torch.randn(25, 6, generator=generator) * torch.rand(25, 1, generator=generator) * 3
        targets = torch.randn(7, 6, generator=generator)

        def run() -> Observation:
            return {"result": module.choose_bases(candidates, targets, count).clone()}

        return run

    yield from (with_count(1), with_count(6), with_count(25))


def observe_craft_poisons(
    module: types.ModuleType, generator: torch.Generator
) -> Iterator[Callable[[], Observation]]:
    def with_settings(
        step: float, beta: float, iterations: int, epsilon: float | None
    ) -> Callable[[], Observation]:
        features = extractor(ResNet18(width=2), generator)
        bases = torch.rand(4, 3, 8, 8, generator=generator)
        targets = features(torch.rand(4, 3, 8, 8, generator=generator))

        def run() -> Observation:
            result = module.craft_poisons(features, bases, targets, step, beta, iterations, epsilon)
            return {"result": result.clone(), **untouched(bases=bases, targets=targets)}

        return run

    yield from (with_settings(0.1, 0.5, 0, None), with_settings(1.0, 0.5, 8, 0.1))
    yield from (with_settings(300.0, 0.1, 12, None), with_settings(3000.0, 0.0, 1, 0.5))
    yield from (with_settings(30.0, 2.0, 10, None), with_settings(1.0, 0.1, 10, 0.02))


PROBES: dict[str, Probe] = {
    "forward_step": observe_forward_step,
    "backward_step": observe_backward_step,
    "choose_bases": observe_choose_bases,
    "craft_poisons": observe_craft_poisons,
}
