"""A student's file, called through a step server.

Whatever goes wrong on the student's side becomes a ``Finding``: the key of a message with its values. A child that
crashed or ran too long is replaced by a fresh one, and the function that it died in is not called again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from grader.calls import MALFORMED, Argument, Finding, Returned, decode_returned, encode_argument
from grader.contract import Part
from grader.sandbox import ChildFailure, Meanwhile, StepServer, nothing
from grader.spec import LimitSettings
from grader.submission import Source
from grader.usage import Usage
from grader.wire import Frame


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
        body: dict[str, Any] = {
            "function": function,
            "arguments": [encode_argument(a, arrays) for a in arguments],
        }
        if backward is not None:
            arrays.append(backward)
            body["backward"] = len(arrays) - 1
        limit = self._limits.call_seconds if seconds is None else seconds
        answer = self._ask("call", body, arrays, seconds=limit, blame=function)
        try:
            return decode_returned(answer, arguments)
        except MALFORMED:
            raise Finding("protocol", message="an answer in another form") from None

    def begin_attack(self, body: dict[str, Any], delta: np.ndarray) -> None:
        """Give the child what it keeps through the training loop. Raises Finding as ``call`` does."""
        self._load()
        self._ask("begin", body, [delta], seconds=self._limits.call_seconds, blame="poison_step")

    def attack_step(
        self, parameters: np.ndarray, x: np.ndarray, y: np.ndarray, meanwhile: Meanwhile = nothing
    ) -> Frame:
        """One poison_step of the training loop; its delta_step follows when the answer is out.

        Args:
            meanwhile: what the parent does while the child works.

        Raises:
            Finding: as ``call`` does; and whatever ``meanwhile`` raises, after which a fresh child is needed.
        """
        limit = self._limits.step_seconds
        return self._ask(
            "step", {}, [parameters, x, y], seconds=limit, blame="poison_step", meanwhile=meanwhile
        )

    def attack_delta(self) -> Frame:
        """The child's delta after the last step. Raises Finding as ``call`` does."""
        return self._ask("delta", {}, [], seconds=self._limits.step_seconds, blame="delta_step")

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
        meanwhile: Meanwhile = nothing,
    ) -> Frame:
        assert self._server is not None
        try:
            answer = self._server.ask(Frame(kind, body, tuple(arrays)), seconds=seconds, meanwhile=meanwhile)
        except ChildFailure as failure:
            # The child cannot be trusted to go on. The next function gets a fresh one, this one is not called again.
            self.close()
            finding = Finding(failure.finding, line=self._source.line_of(blame or ""), **failure.values)
            if blame is not None:
                self._problems[blame] = finding
            raise finding from None
        except BaseException:
            # In the meanwhile: the child would answer a question that nobody waits for any more.
            self.close()
            raise
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
        is_value_error = body.get("is_value_error") is True
        return Finding("exception", type=kind, message=message, is_value_error=is_value_error, line=line)
