"""The step server without a child (``--in-process``): the worker's session in this very process, for a debugger."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from grader.sandbox import Meanwhile, nothing
from grader.usage import Usage
from grader.wire import Frame


class LocalServer:
    """A ``StepServer`` with no isolation of any kind."""

    output = ""

    def __init__(self, device: str = "cpu") -> None:
        from grader.worker import Session

        self._session = Session(device)

    def ask(self, question: Frame, *, seconds: float, meanwhile: Meanwhile = nothing) -> Frame:
        meanwhile()
        # Copies, as a pipe would make them: what the student's code writes into must not be the parent's own.
        answer = self._session.handle(_copied(question))
        return _copied(answer)

    def usage(self) -> Usage | None:
        return None

    def close(self) -> None:
        pass


def _copied(frame: Frame) -> Frame:
    return replace(frame, arrays=tuple(np.array(a) for a in frame.arrays))
