"""Child side of the step server: the only place where student code is imported and run.

The worker answers frames (``wire.py``): it loads one file of the submission from source text that came in a frame,
calls its functions on arrays that came in frames, and sends back what came out and what was left in the arguments. It
judges nothing, knows no expected value, no threshold, no seed and no test label, and whatever it says is treated by
the parent as a claim of untrusted code.

Requests and answers (arrays are named by index):

- ``load`` {filename, functions} [source bytes] -> ``loaded`` {functions: {name: null or problem}} or ``raised``
- ``call`` {function, arguments, backward?} [...] -> ``returned`` {result, arguments} [...] or ``raised``
- ``begin`` {model, sizes, target, epsilon, optimizer, settings} [delta] -> ``begun``
- ``step`` {} [parameters flat, x, y] -> ``stepped`` {missing} [loss, gradients flat, gradient of delta, delta] or
  ``raised``; ``delta_step`` runs when the answer is out, and what it raises answers the next ``step`` or ``delta``
- ``delta`` {} -> ``delta`` {} [delta after the last ``delta_step``] or ``raised``
"""

from __future__ import annotations

import contextlib
import inspect
import linecache
import os
import socket
import sys
import traceback
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from grader.lab.models import build_model
from grader.lockdown import Limits, die_with_parent, hide_memory, limit_resources, refuse_system_calls
from grader.optimizers import OPTIMIZERS
from grader.processors import give_each_thread_one
from grader.shared_memory import SharedMemory
from grader.wire import DTYPES, Channel, Frame, WireError

MAX_TEXT = 2000
MAX_ITEMS = 8  # of a returned tuple or list


class StudentError(Exception):
    """Student code raised; carries what the parent may tell."""

    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__(body["type"])
        self.body = body


class Session:
    """The state of one worker: the loaded module and, in the training loop, the model, delta and its optimiser."""

    def __init__(self, device: str = "cpu") -> None:
        self._device = device
        self._module: types.ModuleType | None = None
        self._path = ""
        self._attack: _Attack | None = None
        self._late: list[StudentError] = []  # what delta_step raised when the answer was out

    def handle(self, request: Frame) -> Frame:
        """Answer one request; whatever student code raises becomes a ``raised`` answer."""
        handlers: dict[str, Callable[[Frame], Frame]] = {
            "load": self._load,
            "call": self._call,
            "begin": self._begin,
            "step": self._step,
            "delta": self._delta,
        }
        try:
            if request.kind in ("step", "delta"):
                self.finish()
                if self._late:
                    raise self._late.pop()
            return handlers[request.kind](request)
        except StudentError as error:
            return Frame("raised", error.body)

    def _load(self, request: Frame) -> Frame:
        self._path = request.body["filename"]
        source = request.arrays[0].tobytes().decode("utf-8-sig")
        # Its own name in sys.modules is what dataclasses and pickling of the student's classes look for.
        name = os.path.splitext(os.path.basename(self._path))[0]
        module = types.ModuleType(name)
        module.__file__ = self._path
        sys.modules[name] = module
        # Tracebacks and inspect find the lines, though the file itself may not be in this sandbox.
        linecache.cache[self._path] = (len(source), None, source.splitlines(keepends=True), self._path)
        with self._student_code():
            exec(compile(source, self._path, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 what it is for
        self._module = module
        functions = {n: _signature_problem(module, n, p) for n, p in request.body["functions"].items()}
        return Frame("loaded", {"functions": functions})

    def _function(self, name: str) -> Callable[..., Any]:
        function: Callable[..., Any] = getattr(self._module, name)
        return function

    def _call(self, request: Frame) -> Frame:
        arguments = _Arguments(request, self._device)
        function = self._function(request.body["function"])
        with self._student_code():
            result = function(*arguments.values)
        body: dict[str, Any] = {}
        if (backward := request.body.get("backward")) is not None:
            try:
                (result * _tensor(request.arrays[backward], self._device)).sum().backward()
            except Exception as error:  # noqa: BLE001 what cannot be differentiated is an answer, not a failure of ours
                body["backward_error"] = _shorten(f"{type(error).__name__}: {error}")
        out: list[np.ndarray] = []
        body["result"] = _describe(result, out)
        body["arguments"] = arguments.describe(result, out)
        return Frame("returned", body, tuple(out))

    def _begin(self, request: Frame) -> Frame:
        self._attack = _Attack(request.body, request.arrays[0], self._device)
        self._late.clear()
        return Frame("begun")

    def _step(self, request: Frame) -> Frame:
        if self._attack is None:
            raise WireError("step before begin")
        parameters, x, y = request.arrays
        with self._student_code():
            tensors = (_tensor(a, self._device) for a in (parameters, x, y))
            return self._attack.step(self._module, *tensors)

    def finish(self) -> None:
        """What is left of the last step: the student's ``delta_step``, while the parent goes on with the gradients."""
        if self._attack is None or not self._attack.owes_delta_step:
            return
        try:
            with self._student_code():
                self._attack.delta_step(self._module)
        except StudentError as error:
            self._late.append(error)

    def _delta(self, _: Frame) -> Frame:
        if self._attack is None:
            raise WireError("delta before begin")
        with self._student_code():  # they decide what it is
            return Frame("delta", {}, (_array(self._attack.delta),))

    @contextlib.contextmanager
    def _student_code(self) -> Iterator[None]:
        """Turn what student code raises into a StudentError with the last line of theirs that it went through.

        SystemExit and KeyboardInterrupt are theirs as well: leaving early is an answer like any other.
        """
        try:
            yield
        except StudentError:
            raise
        except BaseException as error:  # noqa: BLE001 theirs, whatever it is
            raise StudentError(_describe_error(error, self._path)) from None


class _Attack:
    """What the child keeps through the training loop: its copy of the model, delta and a real optimiser of delta."""

    def __init__(self, body: dict[str, Any], delta: np.ndarray, device: str) -> None:
        self.model = _build_model(body, device).train()
        self.parameters = list(self.model.parameters())
        self.delta = _tensor(delta, device).requires_grad_()
        self.optimizer = OPTIMIZERS[body["optimizer"]]([self.delta], **body["settings"])
        self.target, self.epsilon = body["target"], body["epsilon"]
        self.owes_delta_step = False

    def step(self, module: Any, flat: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> Frame:
        with torch.no_grad():
            sizes = [p.numel() for p in self.parameters]
            for parameter, values in zip(self.parameters, flat.split(sizes), strict=True):
                parameter.copy_(values.view(parameter.shape))
        loss = module.poison_step(self.model, self.delta, x, y, self.target)
        gradients = [p.grad for p in self.parameters]
        missing = [n for n, p in self.model.named_parameters() if p.grad is None]
        if self.delta.grad is None:
            missing.append("delta")
        if missing:
            return Frame("stepped", {"missing": missing})
        flat_gradient = torch.cat([g.reshape(-1) for g in gradients if g is not None])
        assert self.delta.grad is not None
        self.owes_delta_step = True
        out = [_array(flat_gradient), _array(self.delta.grad), _array(self.delta)]
        return Frame("stepped", {"missing": [], "loss": _describe(loss, out)}, tuple(out))

    def delta_step(self, module: Any) -> None:
        self.owes_delta_step = False
        module.delta_step(self.delta, self.optimizer, self.epsilon)


class _Arguments:
    """Positional arguments built from a ``call`` request, and their state after the call."""

    def __init__(self, request: Frame, device: str) -> None:
        self._device = device
        self._arrays = request.arrays
        self.values: list[Any] = []
        for item in request.body["arguments"]:
            self.values.append(self._build(item))

    def _build(self, item: dict[str, Any]) -> Any:
        if "tensor" in item:
            tensor = _tensor(self._arrays[item["tensor"]], self._device)
            tensor.requires_grad_(item.get("requires_grad", False))
            if item.get("grad") is not None:
                tensor.grad = _tensor(self._arrays[item["grad"]], self._device)
            return tensor
        if "model" in item:
            return self._model(item)
        if "features" in item:
            return self._features(item)
        if "optimizer" in item:
            return OPTIMIZERS[item["optimizer"]]([self.values[item["argument"]]], **item["settings"])
        return item["value"]

    def _model(self, item: dict[str, Any]) -> torch.nn.Module:
        model = _build_model(item, self._device)
        for name, parameter in model.named_parameters():
            parameter.data.copy_(_tensor(self._arrays[item["parameters"][name]], self._device))
            if item.get("gradients"):
                parameter.grad = _tensor(self._arrays[item["gradients"][name]], self._device)
        return model.train(item.get("training", True))

    def _features(self, item: dict[str, Any]) -> Callable[[torch.Tensor], torch.Tensor]:
        """``features`` of a frozen model in eval mode, as a victim uses it who trains only a new last layer."""
        model: Any = _build_model({"model": item["features"], "sizes": item["sizes"]}, self._device)
        state = {name: torch.from_numpy(self._arrays[index]) for name, index in item["state"].items()}
        # what counts the batches that BatchNorm saw in training is not used in eval mode, and does not travel
        missing = set(model.load_state_dict(state, strict=False).missing_keys)
        if not all(name.endswith(".num_batches_tracked") for name in missing):
            raise WireError(f"a model's state lacks {', '.join(sorted(missing))}")
        features: Callable[[torch.Tensor], torch.Tensor] = model.requires_grad_(False).eval().features
        return _in_bfloat16(features) if item["bfloat16"] else features

    def describe(self, result: Any, out: list[np.ndarray]) -> list[dict[str, Any]]:
        return [_describe_argument(value, result, out) for value in self.values]


def _describe_argument(value: Any, result: Any, out: list[np.ndarray]) -> dict[str, Any]:
    if isinstance(value, torch.nn.Module):
        parameters = dict(value.named_parameters())
        return {
            "parameters": {n: _append(out, p) for n, p in parameters.items()},
            "gradients": {n: None if p.grad is None else _append(out, p.grad) for n, p in parameters.items()},
            "requires_grad": all(p.requires_grad for p in parameters.values()),
            "training": value.training,
        }
    if isinstance(value, torch.Tensor):
        return {
            "tensor": _append(out, value),
            "grad": None if value.grad is None else _append(out, value.grad),
            "is_leaf": value.is_leaf,
            "requires_grad": value.requires_grad,
            "is_result": any(_shares_memory(value, item) for item in _tensors(result)),
        }
    return {}


def _tensors(result: Any) -> list[torch.Tensor]:
    """The tensors among what was returned."""
    items = tuple.__iter__(result) if isinstance(result, tuple) else (result,)
    return [item for item in items if isinstance(item, torch.Tensor)]


def _shares_memory(a: torch.Tensor, b: torch.Tensor) -> bool:
    try:
        return a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()
    except (RuntimeError, NotImplementedError):  # sparse tensors have no storage
        return False


def _describe(value: Any, out: list[np.ndarray], *, inside: bool = False) -> dict[str, Any]:
    """A returned value in a form that travels, item by item where it is a tuple; what does not is named by its type."""
    if isinstance(value, torch.Tensor):
        dtype = str(value.dtype).removeprefix("torch.")
        if value.layout is not torch.strided or dtype not in DTYPES:
            layout = "" if value.layout is torch.strided else f" {value.layout}"
            return {"unsupported": f"{dtype}{layout}", "shape": list(value.shape)}
        return {
            "tensor": _append(out, value),
            "device": value.device.type,
            "requires_grad": value.requires_grad,
        }
    if isinstance(value, (tuple, list)) and not inside:
        # as tuple and list have it: a subclass of the student's could bring its own iteration
        items = list(tuple.__iter__(value) if isinstance(value, tuple) else list.__iter__(value))
        return {
            "items": [_describe(item, out, inside=True) for item in items[:MAX_ITEMS]],
            "count": len(items),
            "type": "tuple" if isinstance(value, tuple) else "list",
        }
    if value is None or isinstance(value, (bool, str)):
        return {"value": _shorten(value) if isinstance(value, str) else value, "type": type(value).__name__}
    if isinstance(value, (int, float, np.number)):
        out.append(np.array(float(value)))  # an array, since JSON has neither NaN nor infinity
        return {"number": len(out) - 1, "type": type(value).__name__}
    return {"other": _shorten(type(value).__name__)}


def _append(out: list[np.ndarray], tensor: torch.Tensor) -> int:
    out.append(_array(tensor))
    return len(out) - 1


def _array(tensor: torch.Tensor) -> np.ndarray:
    array: np.ndarray = tensor.detach().to_dense().resolve_conj().cpu().contiguous().numpy()
    return array


def _tensor(array: np.ndarray, device: str) -> torch.Tensor:
    """The array as a tensor; images in the memory layout in which LeNet-5 is fastest."""
    tensor = torch.from_numpy(array).to(device)
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor


def _in_bfloat16(features: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[torch.Tensor], torch.Tensor]:
    """The same function in mixed precision; its result is float32 all the same."""

    def in_bfloat16(x: torch.Tensor) -> torch.Tensor:
        with torch.autocast(x.device.type, torch.bfloat16):
            return features(x.contiguous(memory_format=torch.channels_last)).float()

    return in_bfloat16


def _build_model(item: dict[str, Any], device: str) -> torch.nn.Module:
    return build_model(item["model"], **item["sizes"]).to(device).to(memory_format=torch.channels_last)


def _signature_problem(module: types.ModuleType, name: str, parameters: list[str]) -> dict[str, str] | None:
    """None where the function can be called with so many positional arguments."""
    function = getattr(module, name, None)
    if not callable(function):
        return {"finding": "missing_function"}
    try:
        inspect.signature(function).bind(*parameters)
    except TypeError:
        return {"finding": "wrong_signature", "found": _shorten(f"{name}{inspect.signature(function)}")}
    except ValueError:  # a builtin without a signature: the call itself will tell
        return None
    return None


def _describe_error(error: BaseException, path: str) -> dict[str, Any]:
    line = error.lineno if isinstance(error, SyntaxError) and error.filename == path else None
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename == path:
            line = frame.lineno
    try:
        message = str(error.msg if isinstance(error, SyntaxError) else error)
    except Exception:  # noqa: BLE001 their exception class may fail to print itself
        message = "(its message could not be read)"
    memory = isinstance(error, MemoryError) or "can't allocate memory" in message
    return {
        "type": _shorten(type(error).__name__),
        "is_value_error": isinstance(error, ValueError),
        "message": _shorten(message),
        "line": line,
        "memory": memory,
    }


def _shorten(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 3] + "..."


def main(descriptor: int, memory: int | None, limits: Limits, threads: int) -> None:
    """Serve frames on an inherited socket until the parent goes away; ``memory`` is shared with it, if any is.

    torch is imported already: its import runs helper programs, which the lockdown would refuse.
    """
    die_with_parent()
    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    give_each_thread_one(threads)
    # Adam on gradients that die out runs into denormal numbers, which are many times slower.
    torch.set_flush_denormal(True)
    limit_resources(limits)
    hide_memory()
    refuse_system_calls()
    shared = None if memory is None else SharedMemory(memory, is_parent=False)
    if memory is not None:
        os.close(memory)
    channel = Channel(socket.socket(fileno=descriptor), shared)
    session = Session()
    while True:
        try:
            request = channel.receive()
        except WireError:
            os._exit(0)  # the parent is gone or has closed the channel
        answer = session.handle(request)
        channel.send(Frame(answer.kind, answer.body, answer.arrays, request.nonce))
        # The parent is on a processor now, and torch spreads even Adam's square root over all: it waited 1.5 ms.
        torch.set_num_threads(1)
        session.finish()
        torch.set_num_threads(threads)
