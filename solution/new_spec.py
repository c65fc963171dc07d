"""Writes a fresh hidden spec, its thresholds measured with the reference solution.

    python -m solution.new_spec --out ../hidden.toml [--seeds 20] [--name quiz] [--target 3] [--epsilon 10/255]

Drawn anew: the seeds of the clean start, of the batches' order and of the split into training and judged images; the
target; and epsilon. Then the solution is graded under the new spec with many seeds (less than half a minute each), and
each threshold is put at least four standard deviations below the mean of what it reached. The goals of the bonus parts
stay as they are where the solution keeps that margin to them; part 3's are eased where it does not.

The clean start and part 3's two victims are trained once for a spec and kept in the cache of the machine that grades
(``BACKDOOR_LAB_CACHE``); a batch has them made before it grades anybody.

What was drawn and measured lies in ``OUT.draft/`` until the end, so a run that was stopped goes on where it was; OUT
itself is written last, whole or not at all, readable for its owner alone. Keep it outside of every repository.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import secrets
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from grader.isolation import ROOT
from grader.outcome import write_whole
from grader.settings import PUBLIC_SPEC, SPEC_VARIABLE
from grader.spec import Spec, SpecError, load_spec
from solution import clean_label_seeds, repair_seeds
from solution.seeds import MARGIN, Row, kept_rows, measure, measured_code, table

EPSILONS = ("7/255", "9/255", "10/255", "11/255", "12/255")
"""Where epsilon is drawn from: near the public one, and none of them it."""
LEAST = {"acc": 0.9, "asr": 0.9}
"""A threshold below this asks for nothing: target and epsilon do not go together."""
LOOSEST = {"asr": 0.1, "acc_drop": 0.02, "f1": 0.8}
"""A goal of part 3 that is easier than this asks for too little: these victims are none to learn from."""
USAGE, UNREACHED, STOPPED = 2, 3, 130


class NewSpecError(Exception):
    """No spec can be made like this; the message says why."""


def drawn(text: str, *, name: str, target: int | None, epsilon: str | None, seed_bits: int = 62) -> str:
    """A spec's text with everything drawn anew that a student could know.

    Args:
        text: of the spec to begin with.
        target, epsilon: fixed, or drawn where None; never the same as before.
    """
    before = re.search(r"^target = (\d)", text, flags=re.MULTILINE)
    others = [k for k in range(10) if before is None or k != int(before[1])]
    values = {
        "name": f'"{name}"',
        "hidden": "true",
        "rationale_only": '["*"]',
        "target": str(secrets.choice(others) if target is None else target),
        "epsilon": f'"{secrets.choice(EPSILONS) if epsilon is None else epsilon}"',
        **{key: str(1 + secrets.randbits(seed_bits)) for key in ("seed", "clean_seed", "split_seed")},
    }
    return _with_values(text, values)


def _with_values(text: str, values: dict[str, str]) -> str:
    """The TOML text with other values behind these keys, each of which it has once; comments beside them go."""
    for key, value in values.items():
        text, count = re.subn(rf"^{key} = .*$", f"{key} = {value}", text, flags=re.MULTILINE)
        if count != 1:
            raise NewSpecError(f"the spec to begin with must have the key {key} once, not {count} times")
    return text


def thresholds(rows: Sequence[Row]) -> dict[str, float]:
    """ACC and ASR, each at least ``MARGIN`` standard deviations below its mean, and not above what was ever missed."""
    found = {}
    for name in ("acc", "asr"):
        values = [row[name] for row in rows]
        limit = min(statistics.mean(values) - MARGIN * statistics.stdev(values), min(values))
        found[name] = max(0.0, math.floor(limit * 1e4) / 1e4)
    return found


def finished(text: str, rows: Sequence[Row]) -> str:
    """The draft with its thresholds, and the measured distribution as a comment above them.

    Raises:
        NewSpecError: the solution itself does not reach what a threshold should ask for.
    """
    limits = thresholds(rows)
    untriggered = max(row["untriggered_rate"] for row in rows)
    allowed = float(re.findall(r"^untriggered_rate = (\S+)", text, flags=re.MULTILINE)[0])
    if any(limits[name] < least for name, least in LEAST.items()) or untriggered > allowed / 2:
        raise NewSpecError(
            f"the solution does not reach its goal reliably under this target and epsilon: thresholds would be "
            f"{limits}, and up to {untriggered:.1%} of the images are called the target without trigger"
        )
    measured = "\n".join(
        f"# {line}" for line in table(rows).splitlines() if not re.match(r" *(seed|\d)", line)
    )
    text = re.sub(r"(?:^#.*\n)*(?=^\[invisible_trigger\.thresholds\])", "", text, flags=re.MULTILINE)
    text = text.replace("[invisible_trigger.thresholds]", f"{measured}\n[invisible_trigger.thresholds]")
    return _with_values(text, {name: f"{limit:.4f}" for name, limit in limits.items()})


def measured_rows(spec: Spec, path: Path, seeds: int) -> list[Row]:
    """The rows of so many seeds, each kept in the file as soon as it is there."""
    return kept_rows(lambda seed: measure(spec, seed), path, measured_code(spec), seeds)


def with_clean_label(text: str, spec: Spec, path: Path, seeds: int) -> str:
    """The text with part 2's distribution as a comment; its goals stay, since other seeds give other targets anyway.

    Raises:
        NewSpecError: the solution does not reach them with the margin.
    """
    rows = clean_label_seeds.measured_rows(spec, path, seeds)
    goal = spec.clean_label.mnist
    turned, drop = clean_label_seeds.margins(rows)
    if not (turned >= goal.turned and drop <= goal.acc_drop):
        raise NewSpecError(
            f"the solution does not reach part 2's goal reliably under these seeds: {turned:.2f} targets turned and "
            f"an accuracy lower by {drop:.2%}, each with the margin"
        )
    measured = clean_label_seeds.table(rows).splitlines()[-2:]
    text = re.sub(r"(?:^#.*\n)*(?=^\[clean_label\])", "", text, flags=re.MULTILINE)
    return text.replace("[clean_label]", "\n".join([*(f"# {line}" for line in measured), "[clean_label]"]), 1)


def with_defences(text: str, spec: Spec, path: Path, seeds: int) -> str:
    """The text with part 3's distribution as comments; a goal that the solution would miss with these victims is eased.

    Raises:
        NewSpecError: it would have to be eased beyond ``LOOSEST``.
    """
    rows = repair_seeds.measured_rows(spec, path, seeds)
    for part in repair_seeds.PARTS:
        goals = [goal for goal in repair_seeds.GOALS if goal.part == part]
        limits = ", ".join(f"{goal.key} = {_eased(goal, rows, spec):.10g}" for goal in goals)
        text, count = re.subn(
            rf"(?:^#.*\n)*(^\[{part}\].*\n(?:(?!\[).*\n)*?)thresholds = .*$",
            lambda found, goals=goals, limits=limits: (  # type: ignore[misc]
                "".join(f"# {line}\n" for line in repair_seeds.summary(rows, goals))
                + f"{found[1]}thresholds = {{ {limits} }}"
            ),
            text,
            flags=re.MULTILINE,
        )
        if count != 1:
            raise NewSpecError(
                f"the spec to begin with must have thresholds in [{part}] once, not {count} times"
            )
    return text


def _eased(goal: repair_seeds.Goal, rows: Sequence[Row], spec: Spec) -> float:
    """What the base spec asks for, or where the solution has no margin to it, what leaves one."""
    asked, reached = goal.asked(spec), goal.limit(rows)
    if goal.holds(reached, asked):
        return asked
    if not goal.holds(reached, LOOSEST[goal.key]):
        raise NewSpecError(
            f"the solution does not reach part 3's goal reliably with these victims: {goal.column} would have to be "
            f"{reached:.4f}"
        )
    return (math.floor if goal.at_least else math.ceil)(reached * 1e3) / 1e3


def _check(text: str, base: Path) -> None:
    """Read the spec that would be made, before anything of it is kept.

    Raises:
        SpecError: it is none.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spec.toml"
        path.write_text(text, encoding="utf-8")
        try:
            load_spec(path)
        except SpecError as error:
            why = str(error).removeprefix(f"{path}: ")
            raise SpecError(f"no spec can be made of {base} with these options: {why}") from None


def make(out: Path, base: Path, *, seeds: int, name: str, target: int | None, epsilon: str | None) -> str:
    """Write the spec, going on with the draft where there is one; returns the table of what was measured.

    Raises:
        NewSpecError, SpecError: it cannot be made like this.
        ValueError: there is a draft that was asked for otherwise.
    """
    draft = out.with_name(f"{out.name}.draft")
    path, asked = draft / "spec.toml", draft / "asked.json"
    wanted = {"base": str(base.absolute()), "name": name, "target": target, "epsilon": epsilon}
    if path.exists():
        before = (
            json.loads(asked.read_bytes()) if asked.exists() else wanted
        )  # an older version did not note it
        if differing := [key for key, value in wanted.items() if before.get(key) != value]:
            raise ValueError(
                f"{draft} has the draft of a spec with another {', '.join(differing)}: go on with the same options, or "
                "remove it"
            )
    else:
        text = drawn(base.read_text("utf-8"), name=name, target=target, epsilon=epsilon)
        _check(text, base)  # a draft of what cannot be would stand in the way of its correction
        draft.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(asked, json.dumps(wanted))
        write_whole(path, text)
    spec = load_spec(path)
    text = with_defences(path.read_text("utf-8"), spec, draft / "defences.csv", seeds)  # the quickest to fail
    rows = measured_rows(spec, draft / "rows.csv", seeds)
    text = with_clean_label(finished(text, rows), spec, draft / "clean_label.csv", seeds)
    write_whole(draft / "finished.toml", text)
    load_spec(draft / "finished.toml")  # what is handed over can be read
    os.chmod(draft / "finished.toml", 0o600)
    os.replace(draft / "finished.toml", out)
    shutil.rmtree(draft)
    return table(sorted(rows, key=lambda row: row["seed"]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 written, 2 bad usage, 3 the solution does not reach its goal under what was drawn, 130 stopped."""
    parser = argparse.ArgumentParser(
        prog="python -m solution.new_spec", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the new spec's file")
    parser.add_argument("--seeds", type=int, default=20, help="to measure the thresholds with (at least 2)")
    parser.add_argument("--name", default="hidden", help="shown to students in their reports")
    parser.add_argument("--target", type=int, choices=range(10), help="instead of one drawn at random")
    parser.add_argument("--epsilon", metavar="K/255", help="instead of one drawn at random")
    parser.add_argument(
        "--base", type=Path, default=PUBLIC_SPEC, metavar="FILE", help="take the rest from this spec"
    )
    options = parser.parse_args(arguments)
    out: Path = options.out.absolute()
    if ROOT in out.resolve().parents:
        parser.error(
            f"{out} lies in the repository, from where it could reach students: name a place outside"
        )
    if out.exists():
        parser.error(f"{out} exists already")
    if options.seeds < 2:
        parser.error("a distribution needs at least 2 seeds")
    if not re.fullmatch(r"[\w.-]{1,40}", options.name):
        parser.error("--name is made of letters, digits, dots and dashes, at most 40 of them")
    try:
        if options.epsilon is not None:
            Fraction(options.epsilon)
        text = make(out, options.base, seeds=options.seeds, name=options.name, target=options.target,
                    epsilon=options.epsilon)  # fmt: skip
    except (SpecError, ValueError, ZeroDivisionError, OSError) as error:
        parser.error(str(error))
    except NewSpecError as error:
        print(f"python -m solution.new_spec: {error}. Remove {out}.draft to draw again.", file=sys.stderr)
        return UNREACHED
    except KeyboardInterrupt:
        print(
            f"\npython -m solution.new_spec: stopped; the same command goes on with {out}.draft",
            file=sys.stderr,
        )
        return STOPPED
    print(text)
    print(f"{out}: use it with --spec, or name it in {SPEC_VARIABLE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
