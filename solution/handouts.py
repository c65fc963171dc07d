"""A handout of ``solution/`` to the one that students read: with tables, code and numbers from where they are run.

A handout repeats nothing that could drift. A line ``<!-- insert: points -->`` becomes the table of points from the
contract (``points of PART`` that of a bonus part), ``loop`` the training loop from its source, ``feedback`` an example
in the words of ``messages/``.
``{{spec.KEY.KEY}}`` becomes a value of the public spec, ``{{points.FUNCTION}}`` the points of a function.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Mapping
from typing import Any

from grader.contract import OUTCOME, Part
from grader.messages import function_title, render, title, ui
from solution.stubs import BuildError

LOOP_FUNCTION = "train_backdoor"
EXAMPLE_CHECK, EXAMPLE_FINDING = "invisible_trigger.poison_step.clears_delta_gradient", "accumulated"


def make_handout(
    text: str,
    filename: str,
    inserts: Mapping[str, str],
    values: Mapping[str, Any],
    *,
    optional: Mapping[str, str] | None = None,
) -> str:
    """The handout with its inserts and values, marked as generated.

    Args:
        inserts: what the handout must ask for. optional: what it may.

    Raises:
        BuildError: an insert or a value that does not exist, or an insert that the handout never asks for.
    """
    asked: set[str] = set()
    known = {**inserts, **(optional or {})}

    def value(match: re.Match[str]) -> str:
        found: Any = values
        for key in match[1].split("."):
            found = found.get(key) if isinstance(found, Mapping) else None
        if found is None or isinstance(found, Mapping):
            raise BuildError(f"solution/{filename}: there is no value {match[0]}")
        return str(found)

    def insert(match: re.Match[str]) -> str:
        name = match[1]
        if name not in known:
            raise BuildError(
                f"solution/{filename}: no insert is called {name!r}; there are {', '.join(known)}"
            )
        asked.add(name)
        return known[name]

    body = re.sub(r"\{\{(.*?)\}\}", value, text)
    body = re.sub(r"^<!-- insert: (.*?) -->$", insert, body, flags=re.MULTILINE)
    if missing := set(inserts) - asked:
        raise BuildError(f"solution/{filename}: lacks <!-- insert: {sorted(missing)[0]} -->")
    mark = f"<!-- Generated from solution/{filename} by `python -m solution.build`; edit there. -->\n\n"
    return mark + body


def function_points(part: Part) -> dict[str, int]:
    """The points of each function of a part, and of its outcome, in the order of the handout."""
    names = [*(function.name for function in part.functions), OUTCOME]
    return {name: sum(check.points for check in part.checks if check.function == name) for name in names}


def points_table(part: Part, language: str) -> str:
    """The points of a part as a Markdown table: one row a function, with its checks by their titles."""
    head = [ui(word, language) for word in ("function", "points", "check")]
    rows = [head, ["---", "---:", "---"]]
    for name, points in function_points(part).items():
        checks = [check for check in part.checks if check.function == name]
        label = function_title(part.name, name, language) if name == OUTCOME else f"`{name}`"
        details = " · ".join(f"{title(check.id, language)} ({check.points})" for check in checks)
        rows.append([label, str(points), details])
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows)


def training_loop(source: str) -> str:
    """The loop of part 1 as it stands in its source, without the bookkeeping after the steps, as a fenced block.

    Raises:
        BuildError: the function or its loop is not there.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and node.name == LOOP_FUNCTION:
            loop = next((s for s in node.body if isinstance(s, ast.For)), None)
            steps = [s for s in loop.body if isinstance(s, ast.Assign | ast.Expr)] if loop else []
            steps = [s for s in steps if "history" not in ast.unparse(s)]
            if loop and steps:
                code = "\n".join(source.splitlines()[loop.lineno - 1 : steps[-1].end_lineno])
                return f"```python\n{textwrap.dedent(code)}\n```"
    raise BuildError(f"there is no {LOOP_FUNCTION} with a training loop in it; the handouts print it")


def feedback_example(language: str) -> str:
    """What a student reads who forgot delta's old gradient, as a quotation in Markdown."""
    texts = render(EXAMPLE_CHECK, EXAMPLE_FINDING, {}, language)
    rows = {"ran": texts.ran, "expected": texts.expected, "got": texts.got, "hint": texts.hint}
    function = EXAMPLE_CHECK.split(".")[1]
    lines = [
        f"`{function}`: {texts.title}",
        *(f"**{ui(key, language)}**: {text}" for key, text in rows.items()),
    ]
    return "  \n".join(f"> {line}" for line in lines)
