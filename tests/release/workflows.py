"""Runs the shell steps of a GitHub workflow here: enough of a runner for our own workflows, and no more.

``uses:`` steps are not run (they are other people's code); what they would put out can be given. Expressions are looked
up, and of operators only ``&&``, ``||``, ``==`` and ``!=`` are known; anything else is an error, not a guess.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

WORKFLOWS = Path(__file__).resolve().parents[2] / ".github" / "workflows"


@dataclass
class Ran:
    """What came of a step: ``skipped``, ``success`` or ``failure``, its output, and what it handed over."""

    conclusion: str
    log: str = ""
    outputs: dict[str, str] = field(default_factory=dict)


@dataclass
class Job:
    """One job of a workflow in a checkout.

    Args:
        file: the workflow.
        name: the job.
        checkout: the working directory of the steps.
        temporary: ``$RUNNER_TEMP``.
        context: values of expressions that no step gives, e.g. ``matrix.shard``.
        used: step id -> outputs of a step that is not run here.
        environment: added to the steps' environment.
        without: names of steps that are left out.
    """

    file: Path
    name: str
    checkout: Path
    temporary: Path
    context: Mapping[str, str] = field(default_factory=dict)
    used: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    without: frozenset[str] = frozenset()
    steps: dict[str, Ran] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.workflow: dict[str, Any] = yaml.safe_load(self.file.read_text(encoding="utf-8"))
        self.job: dict[str, Any] = self.workflow["jobs"][self.name]
        self.files = {n: self.temporary / n for n in ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_STEP_SUMMARY")}
        self.temporary.mkdir(parents=True, exist_ok=True)
        for path in self.files.values():
            path.touch()

    @property
    def summary(self) -> str:
        return self.files["GITHUB_STEP_SUMMARY"].read_text(encoding="utf-8")

    @property
    def log(self) -> str:
        return "".join(ran.log for ran in self.steps.values())

    @property
    def failed(self) -> bool:
        return any(ran.conclusion == "failure" for ran in self.steps.values())

    def run(self) -> Job:
        """Run the steps in order, as the runner does: after a failure only those that ask for it."""
        for number, step in enumerate(self.job["steps"]):
            name = step.get("id") or step.get("name") or f"step {number}"
            condition = str(step.get("if", "success()"))
            if "()" not in condition:
                condition = f"success() && {condition}"
            if step.get("name") in self.without or not self.evaluate(condition):
                self.steps[name] = Ran("skipped", outputs=dict(self.used.get(step.get("id", ""), {})))
            elif "run" in step:
                self.steps[name] = self._run(step)
            else:
                self.steps[name] = Ran("success", outputs=dict(self.used.get(step.get("id", ""), {})))
        return self

    def _run(self, step: Mapping[str, Any]) -> Ran:
        before = {name: path.stat().st_size for name, path in self.files.items()}
        variables = {**self.workflow.get("env", {}), **self.job.get("env", {}), **step.get("env", {})}
        environment = {
            **os.environ,
            **{name: str(path) for name, path in self.files.items()},
            "RUNNER_TEMP": str(self.temporary),
            "GITHUB_WORKSPACE": str(self.checkout),
            **_assignments(self.files["GITHUB_ENV"].read_text(encoding="utf-8")),
            **{name: self._filled(str(value)) for name, value in variables.items()},
            **self.environment,
        }
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", self._filled(step["run"])],
            cwd=self.checkout, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        written = self.files["GITHUB_OUTPUT"].read_text(encoding="utf-8")[before["GITHUB_OUTPUT"] :]
        return Ran("failure" if done.returncode else "success", done.stdout, _assignments(written))

    def _filled(self, text: str) -> str:
        return re.sub(r"\$\{\{\s*(.*?)\s*\}\}", lambda match: self._look_up(match[1]), text)

    def evaluate(self, condition: str) -> bool:
        """The truth of an ``if:``."""
        condition = re.fullmatch(r"(?:\$\{\{)?\s*(.*?)\s*(?:\}\})?", condition, flags=re.DOTALL)[1]  # type: ignore[index]
        if "||" in condition:
            return any(self.evaluate(part) for part in condition.split("||"))
        return all(self._holds(part.strip()) for part in condition.split("&&"))

    def _holds(self, term: str) -> bool:
        known = {
            "success()": not self.failed,
            "failure()": self.failed,
            "always()": True,
            "!cancelled()": True,
        }
        if term in known:
            return known[term]
        compared = re.fullmatch(r"([\w.-]+) (==|!=) '([^']*)'", term)
        assert compared is not None, f"not understood: {term}"
        return (self._look_up(compared[1]) == compared[3]) == (compared[2] == "==")

    def _look_up(self, name: str) -> str:
        if "||" in name:
            return next(filter(None, map(self._look_up, name.split(" || "))), "")
        assert re.fullmatch(r"[\w.-]+", name), f"not understood: {name}"
        if name == "runner.temp":
            return str(self.temporary)
        if name.startswith("env."):
            return _assignments(self.files["GITHUB_ENV"].read_text(encoding="utf-8")).get(name[4:], "")
        if step := re.fullmatch(r"steps\.([\w-]+)\.outputs\.([\w-]+)", name):
            return self.steps[step[1]].outputs.get(step[2], "")
        return self.context[name]


def _assignments(text: str) -> dict[str, str]:
    """``name=value`` and ``name<<END`` blocks, as GITHUB_OUTPUT and GITHUB_ENV have them."""
    found: dict[str, str] = {}
    lines = iter(text.splitlines())
    for line in lines:
        if block := re.fullmatch(r"([^=<]+)<<(.+)", line):
            value = []
            for inner in lines:
                if inner == block[2]:
                    break
                value.append(inner)
            else:
                raise AssertionError(f"{block[1]} is never closed")
            found[block[1]] = "\n".join(value)
        else:
            name, separator, value_ = line.partition("=")
            assert separator, f"not an assignment: {line}"
            found[name] = value_
    return found
