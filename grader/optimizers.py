"""The optimisers that a spec may name, as the child makes them; the parent has its own arithmetic."""

from __future__ import annotations

import importlib
import sys
import types
from typing import Any

import torch

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}

_COMPILER = "torch._dynamo"


class _CompilerOnDemand(types.ModuleType):
    """In the place of PyTorch's compiler, until it is asked for anything that eager code does not do."""

    @staticmethod
    def disable(function: Any, *_arguments: Any, **_named: Any) -> Any:
        """What is not compiled anyway runs as it is."""
        return function

    @staticmethod
    def graph_break() -> None:
        """No graph, no break."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__path__":  # with this the import system asks for a part of it
            raise AttributeError(name)
        if sys.modules.get(_COMPILER) is self:
            del sys.modules[_COMPILER]
        return getattr(importlib.import_module("torch._dynamo"), name)


def leave_the_compiler_out() -> None:
    """Let an optimiser be made and step without PyTorch's compiler, which the first one of a process imports otherwise.

    The optimisers only ask it not to compile them, and the import takes longer than all checks of a part. Where student
    code asks for more of it (``torch.utils.checkpoint`` does), it is imported then.
    """
    sys.modules.setdefault(_COMPILER, _CompilerOnDemand(_COMPILER))
