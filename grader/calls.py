"""What travels in a call of a student's function: the arguments there, the result and what was left in them back.

An answer is a claim by a process that ran foreign code: its form is checked here, and what is wrong with it becomes a
``Finding``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from grader.wire import Frame

MALFORMED = (KeyError, IndexError, TypeError, ValueError, AttributeError)
"""What reading an answer raises that is in another form; a protocol error of the child's."""


class Finding(Exception):
    """What was found wrong with a submission: a key of ``messages/`` with the values that its text names."""

    def __init__(self, key: str, /, *, line: int | None = None, **values: Any) -> None:
        super().__init__(key)
        self.key = key
        self.values = values
        self.line = line


@dataclass(frozen=True)
class TensorArgument:
    """A tensor for the student's function; ``grad`` is what lies in ``.grad`` beforehand."""

    array: np.ndarray
    requires_grad: bool = False
    grad: np.ndarray | None = None


@dataclass(frozen=True)
class ModelArgument:
    """A model with these parameters, and ``gradients`` in ``p.grad`` beforehand where given."""

    name: str
    parameters: Mapping[str, np.ndarray]
    sizes: Mapping[str, int] = field(default_factory=dict)
    gradients: Mapping[str, np.ndarray] | None = None


@dataclass(frozen=True)
class FeaturesArgument:
    """The feature extractor of a model: a function of images, frozen and in eval mode.

    Attributes:
        state: the model's weights and buffers by name, float32; counters of batches may be left out.
        bfloat16: compute in it (autocast): twice as fast where a processor has instructions for it, and rounded.
    """

    name: str
    state: Mapping[str, np.ndarray]
    sizes: Mapping[str, int] = field(default_factory=dict)
    bfloat16: bool = False


@dataclass(frozen=True)
class OptimizerArgument:
    """An optimiser over the tensor that is argument number ``argument``."""

    name: str
    settings: Mapping[str, Any]
    argument: int


Argument = TensorArgument | ModelArgument | FeaturesArgument | OptimizerArgument | int | float | str | None


@dataclass(frozen=True)
class State:
    """What was left in an argument after the call.

    Attributes:
        array: a tensor's values; gradient: its ``.grad`` or None.
        parameters, gradients: of a model, by name.
        flags: is_leaf, requires_grad, is_result (shares memory with what was returned), training.
    """

    array: np.ndarray | None = None
    gradient: np.ndarray | None = None
    parameters: Mapping[str, np.ndarray] = field(default_factory=dict)
    gradients: Mapping[str, np.ndarray | None] = field(default_factory=dict)
    flags: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Returned:
    """The answer to one call.

    Attributes:
        result: described as by ``worker._describe``; use ``tensor`` or ``number`` to read it.
        arguments: one State for each argument.
        backward_error: why the result could not be differentiated, where that was asked for.
    """

    result: Mapping[str, Any]
    arrays: tuple[np.ndarray, ...]
    arguments: tuple[State, ...]
    backward_error: str | None

    def tensor(self, shape: tuple[int, ...], dtype: str | None = "float32") -> np.ndarray:
        """The returned tensor, after its form was checked; the dtype None takes any.

        Raises:
            Finding: it is no tensor, or not of that dtype and shape, or not finite.
        """
        if self.result.get("type") == "NoneType":
            raise Finding("returned_none")
        if "unsupported" in self.result:
            raise Finding(
                "wrong_dtype", expected=dtype or "float32 / int64", found=str(self.result["unsupported"])
            )
        if "tensor" not in self.result:
            raise Finding("not_a_tensor", found=self._type())
        array = self.arrays[self.result["tensor"]]
        if array.shape != shape:
            raise Finding("wrong_shape", expected=str(shape), found=str(array.shape))
        if dtype is not None and array.dtype.name != dtype:
            raise Finding("wrong_dtype", expected=dtype, found=array.dtype.name)
        if not bool(np.isfinite(array).all()):
            raise Finding("not_finite", count=int((~np.isfinite(array)).sum()))
        return array

    def number(self, *, tensor_finding: str | None = None) -> float:
        """The returned number (int, float or a NumPy scalar).

        Args:
            tensor_finding: what a returned one-element tensor is called; None accepts it.

        Raises:
            Finding: it is no number, or not finite.
        """
        if self.result.get("type") == "NoneType":
            raise Finding("returned_none")
        index = self.result.get("number")
        if index is None and "tensor" in self.result and self.arrays[self.result["tensor"]].size == 1:
            if tensor_finding is not None:
                raise Finding(tensor_finding, found="Tensor")
            index = self.result["tensor"]
        if index is None:
            raise Finding("not_a_number", found=self._type())
        value = float(self.arrays[index].reshape(()))
        if not math.isfinite(value):
            raise Finding("not_finite", count=1)
        return value

    def items(self, count: int) -> tuple[Returned, ...]:
        """The items of a returned tuple (or list), each to be read by ``tensor`` or ``number``.

        Raises:
            Finding: it is no tuple, or not of so many items.
        """
        if self.result.get("type") == "NoneType":
            raise Finding("returned_none")
        items = self.result.get("items")
        if items is None:
            raise Finding("not_a_tuple", expected=count, found=self._type())
        if self.result["count"] != count or len(items) != count:
            raise Finding("wrong_count", expected=count, found=int(self.result["count"]))
        return tuple(Returned(dict(item), self.arrays, (), None) for item in items)

    def _type(self) -> str:
        if "tensor" in self.result:
            return f"Tensor {self.arrays[self.result['tensor']].shape}"
        return str(self.result.get("type") or self.result.get("other") or "Tensor")


def encode_argument(argument: Argument, arrays: list[np.ndarray]) -> dict[str, Any]:
    def add(array: np.ndarray) -> int:
        arrays.append(array)
        return len(arrays) - 1

    if isinstance(argument, TensorArgument):
        grad = None if argument.grad is None else add(argument.grad)
        return {"tensor": add(argument.array), "requires_grad": argument.requires_grad, "grad": grad}
    if isinstance(argument, ModelArgument):
        gradients = None
        if argument.gradients is not None:
            gradients = {name: add(a) for name, a in argument.gradients.items()}
        parameters = {name: add(a) for name, a in argument.parameters.items()}
        return {
            "model": argument.name,
            "sizes": dict(argument.sizes),
            "parameters": parameters,
            "gradients": gradients,
        }
    if isinstance(argument, FeaturesArgument):
        state = {name: add(a) for name, a in argument.state.items()}
        network = {"features": argument.name, "sizes": dict(argument.sizes), "state": state}
        return {**network, "bfloat16": argument.bfloat16}
    if isinstance(argument, OptimizerArgument):
        return {
            "optimizer": argument.name,
            "settings": dict(argument.settings),
            "argument": argument.argument,
        }
    return {"value": argument}


def decode_returned(frame: Frame, arguments: Sequence[Argument]) -> Returned:
    """Raises Finding where a gradient has another shape than its tensor, and ``MALFORMED`` where this is no answer."""
    if frame.kind != "returned":
        raise ValueError(frame.kind)
    pairs = zip(frame.body["arguments"], arguments, strict=True)
    states = tuple(_decode_state(item, frame.arrays, argument) for item, argument in pairs)
    error = frame.body.get("backward_error")
    result = decode_result(frame.body["result"], frame.arrays)
    return Returned(result, frame.arrays, states, None if error is None else str(error))


def decode_result(item: Mapping[str, Any], arrays: tuple[np.ndarray, ...]) -> dict[str, Any]:
    """A result as described by ``worker._describe``; raises ``MALFORMED`` where it is not."""
    result = dict(item)
    for value in (result, *(dict(part) for part in result.get("items", ()))):
        if "tensor" in value:
            arrays[value["tensor"]]
        if "number" in value:
            arrays[value["number"]].reshape(())
    if "items" in result and type(result["count"]) is not int:
        raise TypeError(result["count"])
    return result


def _decode_state(item: Mapping[str, Any], arrays: tuple[np.ndarray, ...], argument: Argument) -> State:
    flags = {k: v for k, v in item.items() if isinstance(v, bool)}
    if isinstance(argument, ModelArgument):
        parameters = {name: arrays[item["parameters"][name]] for name in argument.parameters}
        sent = argument.parameters.items()
        gradients = {n: _gradient(item["gradients"][n], arrays, p.shape) for n, p in sent}
        return State(parameters=parameters, gradients=gradients, flags=flags)
    if isinstance(argument, TensorArgument):
        gradient = _gradient(item["grad"], arrays, argument.array.shape)
        return State(arrays[item["tensor"]], gradient, flags=flags)
    return State(flags=flags)


def _gradient(index: int | None, arrays: tuple[np.ndarray, ...], shape: tuple[int, ...]) -> np.ndarray | None:
    if index is None:
        return None
    if arrays[index].shape != shape:
        raise Finding("wrong_shape", expected=str(shape), found=str(arrays[index].shape))
    return arrays[index]
