"""What can be seen of Fine-Pruning's two functions; for ``test_corpus_behaviour``.

Neurons that tie, and those that are left, may stand in any order: what is compared does not depend on it.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from typing import Any

import torch

from tests.observe_clean_label import Probe

Run = Callable[[], dict[str, Any]]


def observe_rank(module: types.ModuleType, generator: torch.Generator) -> Iterator[Run]:
    def ranked(neurons: int, rule: str, dead: int) -> Run:
        incoming = torch.randn(neurons, 30, generator=generator) * torch.rand(neurons, 1, generator=generator)
        activations = torch.randn(200, neurons, generator=generator).relu() ** 2
        activations *= torch.rand(neurons, generator=generator)
        activations[:, :dead] = 0
        scores = incoming.abs().sum(1) if rule == "largest-weight" else activations.mean(0)

        def run() -> dict[str, Any]:
            order = module.rank_neurons(incoming, activations, rule)
            return {
                "dtype": order.dtype, "neurons": tuple(sorted(order.tolist())), "scores": scores[order.long()],
                "arguments": (incoming.clone(), activations.clone()),
            }  # fmt: skip

        return run

    def refused() -> dict[str, Any]:
        return _refusal(lambda: module.rank_neurons(torch.ones(3, 4), torch.ones(5, 3), "smallest-bias"))

    for rule in ("largest-weight", "dormant"):
        yield from (ranked(neurons, rule, dead) for neurons, dead in ((40, 0), (84, 30), (1, 0)))
    yield refused


def observe_prune(module: types.ModuleType, generator: torch.Generator) -> Iterator[Run]:
    def pruned(neurons: int, removed: int) -> Run:
        w_in, b_in = torch.randn(neurons, 20, generator=generator), torch.randn(neurons, generator=generator)
        w_out = torch.randn(6, neurons, generator=generator)
        chosen = torch.randperm(neurons, generator=generator)[:removed]
        below = torch.randn(50, 20, generator=generator)

        def run() -> dict[str, Any]:
            layers = module.prune_and_compress(w_in, b_in, w_out, chosen)
            shapes = tuple(tuple(layer.shape) for layer in layers)
            smaller = [layer.double() for layer in layers]
            return {
                "shapes": shapes, "dtypes": tuple(layer.dtype for layer in layers),
                "logits": (below.double() @ smaller[0].T + smaller[1]).relu() @ smaller[2].T,
                "arguments": (w_in.clone(), b_in.clone(), w_out.clone(), chosen.clone()),
            }  # fmt: skip

        return run

    def refused() -> dict[str, Any]:
        layers = torch.ones(3, 4), torch.ones(3), torch.ones(2, 3)
        return _refusal(lambda: module.prune_and_compress(*layers, torch.arange(3)))

    yield from (pruned(40, 12), pruned(7, 0), pruned(9, 8))
    yield refused


def _refusal(call: Callable[[], object]) -> dict[str, Any]:
    """Which kind of error, or none."""
    try:
        call()
    except Exception as error:  # noqa: BLE001 what a submission raises is what it does
        return {"value_error": isinstance(error, ValueError)}
    return {"accepted": True}


PROBES: dict[str, Probe] = {"rank_neurons": observe_rank, "prune_and_compress": observe_prune}
