"""The loop of part 2 step by step, as the assignment has it and as it is usually got wrong: NumPy, and no student code.

Which steps are accepted decides where the poisons are after a few iterations. On the linear extractor every decision
can be made here too, and a problem is drawn until each is a clear one and each usual mistake ends somewhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from grader.parts.clean_label import pulled
from grader.parts.small_extractor import SmallExtractor

ITERATIONS = 9
CLEAR = 1e-3
"""Least relative difference between two objectives that are compared: far beyond what float32 rounds away."""
APART = 5e-3
"""Least distance, in pixel units, between the right poisons and those of a usual mistake."""
_ROOM = 0.01  # between a candidate and the pixel range, whose clipping is another check's question


@dataclass(frozen=True)
class Rule:
    """How the loop decides; the defaults are the assignment's, and any other value is a usual mistake.

    Attributes:
        kept: what a candidate is compared with next time, of its objective, the old one, and whether it was accepted.
        has_penalty: whether the objective has its second term, (beta / 2) |x - b|^2.
        shrink, grow: what the step size is multiplied with when a step is rejected, or accepted.
        left_out: iterations that are not made.
    """

    kept: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray] = lambda new, old, accepted: np.where(
        accepted, new, old
    )
    has_penalty: bool = True
    shrink: float = 0.5
    grow: float = 1.0
    left_out: int = 0


RIGHT = Rule()
MISTAKES: Mapping[str, Rule] = {
    "compared_with_base": Rule(kept=lambda new, old, accepted: old),
    "compared_with_rejected": Rule(kept=lambda new, old, accepted: new),
    "beta_not_in_objective": Rule(has_penalty=False),
    "step_not_halved": Rule(shrink=0.25),
    "step_made_longer": Rule(grow=1.5),
    "one_iteration_less": Rule(left_out=1),
}


@dataclass(frozen=True)
class Loop:
    """Arguments of ``craft_poisons`` without a budget: bases (N, C, H, W), their targets' features (N, D)."""

    extractor: SmallExtractor
    bases: np.ndarray
    targets: np.ndarray
    step: float
    beta: float

    def poisons(self, rule: Rule = RIGHT) -> tuple[np.ndarray, bool]:
        """Where the loop ends, (N, C, H, W) float64; and whether it was clear: decisions, and no pixel out of range."""
        x = self.bases.astype(np.float64)
        sizes = np.full((len(x), 1, 1, 1), self.step)
        old, is_clear = self._objective(x, rule), True
        for _ in range(ITERATIONS - rule.left_out):
            forward = x - sizes * self.extractor.gradient(x, self.targets)
            candidate = pulled(forward, self.bases, sizes * self.beta)
            new = self._objective(candidate, rule)
            is_clear &= bool((np.abs(new - old) > CLEAR * old).all()) and _is_inside(forward, candidate)
            accepted = new < old
            where = accepted[:, None, None, None]
            x, old = np.where(where, candidate, x), rule.kept(new, old, accepted)
            sizes = sizes * np.where(where, rule.grow, rule.shrink)
        return x, is_clear

    def _objective(self, x: np.ndarray, rule: Rule) -> np.ndarray:
        return self.extractor.objective(x, self.bases, self.targets, self.beta if rule.has_penalty else 0.0)


def telling_loops(draw: Callable[[], Loop]) -> list[Loop]:
    """Loops with clear decisions, such that each usual mistake ends elsewhere in at least one; mostly two or three."""
    found: list[Loop] = []
    hidden = set(MISTAKES)
    while hidden:
        loop = draw()
        right, is_clear = loop.poisons()
        if not is_clear:
            continue
        told = {key for key in hidden if np.abs(loop.poisons(MISTAKES[key])[0] - right).max() > APART}
        if told:
            found.append(loop)
            hidden -= told
    return found


def _is_inside(*images: np.ndarray) -> bool:
    return all(bool(((x > _ROOM) & (x < 1 - _ROOM)).all()) for x in images)
