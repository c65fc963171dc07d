"""A student's file, called through a step server: arguments in, results and what was left in the arguments out.

Whatever goes wrong on the student's side becomes a ``Finding``: the key of a message with its values. A child that
crashed or ran too long is replaced by a fresh one, and the function that it died in is not called again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from grader.contract import Part
from grader.sandbox import ChildFailure, StepServer, Usage
from grader.spec import LimitSettings
from grader.submission import Source
from grader.wire import Frame


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
            raise Finding("wrong_dtype", expected=str(dtype), found=str(self.result["unsupported"]))
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


class StudentModule:
    """One part's file in a step server.

    Args:
        start: starts a fresh step server; called at the first question and after each crash.
    """

    def __init__(
        self, part: Part, source: Source, start: Callable[[], StepServer], limits: LimitSettings
    ) -> None:
        self._part = part
        self._source = source
        self._start = start
        self._limits = limits
        self._server: StepServer | None = None
        self._loaded_in: StepServer | None = None
        self._said = ""
        self.unusable: Finding | None = None
        """Why no function of the file can be called at all."""
        self._problems: dict[str, Finding] = {}
        if source.problem is not None:
            self.unusable = Finding(source.problem, line=None, **source.values)

    def warm_up(self) -> None:
        """Start the child already, so that it imports torch while the parent does other things."""
        if self.unusable is None and self._server is None:
            self._server = self._start()

    @property
    def output(self) -> str:
        """What the student's code printed so far (of each child, the beginning)."""
        return self._said if self._server is None else self._said + self._server.output

    def call(
        self,
        function: str,
        *arguments: Argument,
        backward: np.ndarray | None = None,
        seconds: float | None = None,
    ) -> Returned:
        """Call a function of the student's with fresh arguments.

        Args:
            backward: multiply the result by this, sum, run backward: gradients appear in the arguments.
            seconds: how long it may take, where that is not the usual time of one call.

        Raises:
            Finding: it could not be called, raised, crashed the child, took too long, or was answered nonsense.
        """
        self._load()
        if function in self._problems:
            raise self._problems[function]
        arrays: list[np.ndarray] = []
        body: dict[str, Any] = {"function": function, "arguments": [_encode(a, arrays) for a in arguments]}
        if backward is not None:
            arrays.append(backward)
            body["backward"] = len(arrays) - 1
        limit = self._limits.call_seconds if seconds is None else seconds
        answer = self._ask("call", body, arrays, seconds=limit, blame=function)
        try:
            return _decode_returned(answer, arguments)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError):
            raise Finding("protocol", message="an answer in another form") from None

    def begin_attack(self, body: dict[str, Any], delta: np.ndarray) -> None:
        """Give the child what it keeps through the training loop. Raises Finding as ``call`` does."""
        self._load()
        self._ask("begin", body, [delta], seconds=self._limits.call_seconds, blame="poison_step")

    def attack_step(self, parameters: np.ndarray, x: np.ndarray, y: np.ndarray) -> Frame:
        """One poison_step and delta_step of the training loop. Raises Finding as ``call`` does."""
        return self._ask(
            "step", {}, [parameters, x, y], seconds=self._limits.step_seconds, blame="poison_step"
        )

    def usage(self) -> Usage | None:
        """What the child has taken; None where that is not known."""
        return None if self._server is None else self._server.usage()

    def close(self) -> None:
        """End the child; a later question starts a fresh one."""
        if self._server is not None:
            self._server.close()
            self._said, self._server = self._said + self._server.output, None

    def _load(self) -> None:
        """Start a child where there is none and load the file in it, once."""
        if self.unusable is not None:
            raise self.unusable
        if self._server is not None and self._loaded_in is self._server:
            return
        self._server = self._loaded_in = self._server or self._start()
        functions = {f.name: list(f.parameters) for f in self._part.functions}
        body = {"filename": str(self._source.path.absolute()), "functions": functions}
        try:
            answer = self._ask("load", body, [np.frombuffer(self._source.content, np.uint8)],
                               seconds=self._limits.load_seconds, blame=None)  # fmt: skip
            problems = answer.body["functions"]
            for function in self._part.functions:
                if problems[function.name] is not None:
                    self._problems[function.name] = self._signature_finding(
                        function.name, problems[function.name]
                    )
        except (KeyError, TypeError, AttributeError):
            self.unusable = Finding("protocol", message="an answer in another form")
            raise self.unusable from None
        except Finding as finding:
            self.unusable = finding
            raise

    def _signature_finding(self, name: str, problem: Mapping[str, str]) -> Finding:
        expected = f"{name}({', '.join(self._part.function(name).parameters)})"
        key = "missing_function" if problem["finding"] == "missing_function" else "wrong_signature"
        return Finding(key, function=name, expected=expected, found=str(problem.get("found", "")),
                       line=self._source.line_of(name))  # fmt: skip

    def _ask(
        self,
        kind: str,
        body: dict[str, Any],
        arrays: Sequence[np.ndarray],
        *,
        seconds: float,
        blame: str | None,
    ) -> Frame:
        assert self._server is not None
        try:
            answer = self._server.ask(kind, body, arrays, seconds=seconds)
        except ChildFailure as failure:
            # The child cannot be trusted to go on. The next function gets a fresh one, this one is not called again.
            self.close()
            finding = Finding(failure.finding, line=self._source.line_of(blame or ""), **failure.values)
            if blame is not None:
                self._problems[blame] = finding
            raise finding from None
        if answer.kind == "raised":
            raise self._raised(answer.body, loading=blame is None)
        return answer

    def _raised(self, body: Mapping[str, Any], *, loading: bool) -> Finding:
        kind, message = str(body.get("type", "")), str(body.get("message", ""))
        line = body.get("line")
        if type(line) is not int or not 0 < line <= self._source.text.count("\n") + 1:
            line = None
        todo = message.removeprefix("TODO(").split(")")[0]
        if kind == "NotImplementedError" and todo in {f.name for f in self._part.functions}:
            return Finding("not_implemented", todo=todo, line=line)
        if body.get("memory"):
            return Finding("memory_limit", line=line)
        if loading and kind in ("SyntaxError", "IndentationError", "TabError"):
            return Finding("syntax_error", file=self._source.path.name, message=message, line=line)
        if loading:
            return Finding("import_error", message=f"{kind}: {message}", line=line)
        return Finding("exception", type=kind, message=message, line=line)


def _encode(argument: Argument, arrays: list[np.ndarray]) -> dict[str, Any]:
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


def _decode_returned(frame: Frame, arguments: Sequence[Argument]) -> Returned:
    """Raises Finding where a gradient has another shape than its tensor, and many errors where this is no answer."""
    if frame.kind != "returned":
        raise ValueError(frame.kind)
    pairs = zip(frame.body["arguments"], arguments, strict=True)
    states = tuple(_decode_state(item, frame.arrays, argument) for item, argument in pairs)
    error = frame.body.get("backward_error")
    result = dict(frame.body["result"])
    for value in (result, *(dict(item) for item in result.get("items", ()))):
        if "tensor" in value:
            frame.arrays[value["tensor"]]
        if "number" in value:
            frame.arrays[value["number"]].reshape(())
    if "items" in result and type(result["count"]) is not int:
        raise TypeError(result["count"])
    return Returned(result, frame.arrays, states, None if error is None else str(error))


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
