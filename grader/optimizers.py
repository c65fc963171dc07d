"""The optimisers that a spec may name, as the child makes them; the parent has its own arithmetic."""

from __future__ import annotations

import importlib
import sys
import types
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any

import torch

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}

_COMPILER = "torch._dynamo"


class _CompilerOnDemand(types.ModuleType):
    """In the place of PyTorch's compiler, until it is asked for anything that eager code does not do.

    It answers the import system, too, when that looks for a part of the compiler.
    """

    @staticmethod
    def disable(function: Any = None, *_arguments: Any, **_named: Any) -> Any:
        """What is not compiled anyway runs as it is; without a function, a decorator that says so."""
        return (lambda f: f) if function is None else function

    @staticmethod
    def graph_break() -> None:
        """No graph, no break."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._compiler(), name)

    def _compiler(self) -> types.ModuleType:
        if sys.modules.get(_COMPILER) is self:
            del sys.modules[_COMPILER]
        return importlib.import_module("torch._dynamo")

    def find_spec(self, name: str, _path: object, target: Any = None) -> ModuleSpec | None:
        if not name.startswith(f"{_COMPILER}.") or sys.modules.get(_COMPILER) is not self:
            return None
        path = self._compiler().__path__
        # Mostly, the compiler has imported this part of itself just now, and must not do so twice.
        if (found := sys.modules.pop(name, None)) is not None:
            return ModuleSpec(name, _Found(found))
        return PathFinder.find_spec(name, path, target)


class _Found(Loader):
    """Loads a module that there is already."""

    def __init__(self, module: types.ModuleType) -> None:
        self._module = module

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        return self._module

    def exec_module(self, module: types.ModuleType) -> None:
        """It has run."""


def leave_the_compiler_out() -> None:
    """Let an optimiser be made and step without PyTorch's compiler, which the first one of a process imports otherwise.

    The optimisers only ask it not to compile them, and the import takes longer than all checks of a part. Where student
    code asks for more of it (torchvision and ``torch.utils.checkpoint`` do), it is imported then.
    """
    if _COMPILER not in sys.modules:
        sys.modules[_COMPILER] = stand_in = _CompilerOnDemand(_COMPILER)
        stand_in.__path__ = []  # a package, so that the import system looks for its parts
        sys.meta_path.insert(0, stand_in)
