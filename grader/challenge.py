"""``challenge.toml``: a student's optional entry for the leaderboard, read strictly.

Epsilon and training settings of the student's own choice, for the student's own functions, within a budget of steps.
Only data is read here: a TOML file of a few lines, whose every key has a type and a range. What is wrong with it is
raised as a ``Finding`` with a text in ``[challenge]`` of the messages.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from grader.calls import Finding
from grader.lab.training import AttackSettings

_LONGEST_TEXT = 20  # of a fraction: Fraction("1e999999999") would take all memory
# The step budget is the spec's; the other ranges only keep out what cannot be meant, or what takes for ever.
_TRAINING: Mapping[str, tuple[type[int] | type[float], float, float]] = {
    "steps": (int, 1, math.inf),
    "batch_size": (int, 1, 256),
    "model_learning_rate": (float, 1e-6, 1),
    "model_beta1": (float, 0, 0.9999),
    "model_beta2": (float, 0, 0.99999),
    "delta_learning_rate": (float, 1e-6, 1),
}


@dataclass(frozen=True)
class Entry:
    """What a student enters.

    Attributes:
        grey_levels: epsilon times 255, a whole number: an image file holds nothing finer.
        attack: the settings of the training.
    """

    grey_levels: int
    attack: AttackSettings

    @property
    def epsilon(self) -> float:
        """In pixel units."""
        return self.grey_levels / 255


def read_entry(content: bytes, *, most_levels: int, most_steps: int) -> Entry:
    """The entry.

    Args:
        most_levels: the largest epsilon, in grey levels.
        most_steps: the step budget.

    Raises:
        Finding: not TOML, a key that is missing or unknown, or a value of another type or out of its range.
    """
    data = _tables(content)
    _require_keys(data, ("enabled", "epsilon", "training"), "")
    if type(data["enabled"]) is not bool:
        raise Finding("wrong_type", key="enabled", expected="true / false", found=_shown(data["enabled"]))
    levels = _grey_levels(data["epsilon"], most_levels)
    training = data["training"]
    if not isinstance(training, dict):
        raise Finding("wrong_type", key="training", expected="[training]", found=_shown(training))
    _require_keys(training, tuple(_TRAINING), "training.")
    values = {name: _number(name, training[name], most_steps) for name in _TRAINING}
    return Entry(levels, AttackSettings(**values))


def _tables(content: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise Finding("not_toml", message=str(error)) from None


def _require_keys(table: Mapping[str, Any], names: tuple[str, ...], where: str) -> None:
    for name in names:
        if name not in table:
            raise Finding("missing_key", key=f"{where}{name}")
    for name in table:
        if name not in names:
            raise Finding("unknown_key", key=f"{where}{name}"[:80], known=", ".join(names))


def _grey_levels(value: Any, most: int) -> int:
    """Epsilon as a whole number of grey levels, from a fraction such as "3/255"."""
    try:
        if not isinstance(value, str) or len(value) > _LONGEST_TEXT or "e" in value.lower():
            raise ValueError
        levels = Fraction(value) * 255
    except (ValueError, ZeroDivisionError):
        raise Finding("not_an_epsilon", found=_shown(value), most=most) from None
    if levels.denominator != 1 or not 1 <= levels <= most:
        raise Finding("not_an_epsilon", found=_shown(value), most=most)
    return int(levels)


def _number(name: str, value: Any, most_steps: int) -> Any:
    kind, low, high = _TRAINING[name]
    high = float(most_steps) if name == "steps" else high
    if kind is float and type(value) is int:
        value = float(value) if abs(value) < 1e9 else math.inf
    if type(value) is not kind:
        expected = "1, 2, 3, ..." if kind is int else "0.1, 8e-3, ..."
        raise Finding("wrong_type", key=f"training.{name}", expected=expected, found=_shown(value))
    if not low <= float(value) <= high:
        raise Finding(
            "out_of_range", key=f"training.{name}", low=f"{low:g}", high=f"{high:g}", found=_shown(value)
        )
    return value


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
