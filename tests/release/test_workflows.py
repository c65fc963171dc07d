"""Rules that hold for every workflow, and the linter where it is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.release.workflows import WORKFLOWS

FILES = sorted(WORKFLOWS.glob("*.yml"))
ACTIONLINT = shutil.which("actionlint", path=str(Path(sys.executable).parent)) or shutil.which("actionlint")


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def workflow(request: pytest.FixtureRequest) -> dict[Any, Any]:
    data: dict[Any, Any] = yaml.safe_load(request.param.read_text(encoding="utf-8"))
    return data


def test_there_are_three():
    assert [path.name for path in FILES] == ["ci.yml", "class.yml", "feedback.yml"]


def test_actions_are_pinned_with_their_version_in_a_comment():
    for path in FILES:
        for line in path.read_text(encoding="utf-8").splitlines():
            if "uses:" in line:
                assert re.search(r"uses: [\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d", line), f"{path.name}: {line}"


def test_least_permissions(workflow: dict[Any, Any]):
    assert workflow["permissions"] == {"contents": "read"}
    triggers = workflow[True]  # YAML 1.1 reads `on` as a truth value
    assert "pull_request_target" not in triggers
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 350
        for step in job["steps"]:
            if "actions/checkout@" in step.get("uses", ""):
                assert step["with"]["persist-credentials"] is False


def test_no_expression_is_pasted_into_a_script(workflow: dict[Any, Any]):
    """Values go through the environment, where they cannot become code."""
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            assert "${{" not in step.get("run", "")


def test_student_code_never_runs_beside_the_token():
    jobs = yaml.safe_load((WORKFLOWS / "class.yml").read_text(encoding="utf-8"))["jobs"]
    for step in jobs["grade"]["steps"]:
        if "grader batch" in step.get("run", ""):
            assert "env" not in step
    assert "secrets" not in str(jobs["grade"].get("env", {}))


@pytest.mark.skipif(ACTIONLINT is None, reason="actionlint is not installed")
def test_actionlint():
    done = subprocess.run(
        [str(ACTIONLINT), *map(str, FILES)], cwd=WORKFLOWS.parents[1], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
