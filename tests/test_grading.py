"""Whatever a student hands in: the right status, a message that names the cause, and no traceback of ours."""

import dataclasses
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from grader.calls import TensorArgument
from grader.contract import INVISIBLE_TRIGGER, PARTS, max_score
from grader.grading import Grading
from grader.isolation import ROOT
from grader.outcome import Outcome, Reason, Report, Status
from grader.parts.invisible_trigger import _telling_problem
from grader.spec import Spec, load_spec

SOLUTION = (ROOT / "solution" / "invisible_trigger.py").read_text(encoding="utf-8")
UNIT_CHECKS = [c.id for c in INVISIBLE_TRIGGER.checks if not c.is_outcome]
Make = Callable[[str | bytes | None], Path]


@pytest.fixture(scope="module")
def spec() -> Spec:
    public = load_spec()
    return dataclasses.replace(
        public, limits=dataclasses.replace(public.limits, call_seconds=3, load_seconds=5)
    )


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Writes a submission whose part 1 has this content."""

    def write(content: str | bytes | None) -> Path:
        folder = tmp_path / "submission"
        folder.mkdir()
        if content is not None:
            data = content.encode() if isinstance(content, str) else content
            (folder / "invisible_trigger.py").write_bytes(data)
        return folder

    return write


def unit_outcomes(folder: Path, spec: Spec, *, checks: list[str] = UNIT_CHECKS) -> dict[str, Outcome]:
    with Grading(folder, spec) as grading:
        return {check_id: grading.outcome(check_id) for check_id in checks}


def with_body(function: str, body: str) -> str:
    """The solution with another function of that name put behind it: the later definition counts."""
    parameters = ", ".join(INVISIBLE_TRIGGER.function(function).parameters)
    return f"{SOLUTION}\n\ndef {function}({parameters}):\n    {body}\n"


@pytest.mark.parametrize(
    ("content", "finding", "line"),
    [
        (None, "missing_file", None),
        ("", "empty_file", None),
        (" \n\n", "empty_file", None),
        (b"\xff\xfe\xfa", "not_utf8", None),
        (b"x = 1\x00", "not_utf8", None),
        ("x = 1 # " + "y" * 300_000, "too_large", None),
        (SOLUTION + "\ndef broken(:\n", "syntax_error", SOLUTION.count("\n") + 2),
        ("def f():\nreturn 1\n", "syntax_error", 2),
        ("import os\nraise ValueError('at import')\n", "import_error", 2),
        ("import no_such_package\n", "import_error", 1),
        ("import sys\nsys.exit(0)\n", "import_error", 2),
    ],
)
def test_a_file_that_cannot_be_used(
    make: Make, spec: Spec, content: str | bytes | None, finding: str, line: int
) -> None:
    found = unit_outcomes(make(content), spec)
    assert {o.status for o in found.values()} == {Status.FAILED}
    assert {o.finding for o in found.values()} == {finding}
    assert all(o.got and o.hint for o in found.values())
    location = found[UNIT_CHECKS[0]].location
    assert (location.line if location else None) == line


@pytest.mark.parametrize("content", ["import os\nos._exit(0)\n", "while True: pass\n"])
def test_a_file_that_ends_the_child_when_imported(make: Make, spec: Spec, content: str) -> None:
    spec = dataclasses.replace(spec, limits=dataclasses.replace(spec.limits, load_seconds=1))
    found = unit_outcomes(make(content), spec)
    assert {o.status for o in found.values()} == {Status.FAILED}
    assert {o.finding for o in found.values()} <= {"crashed", "timeout"}


@pytest.mark.parametrize(
    ("function", "body", "finding"),
    [
        ("apply_trigger", "raise RuntimeError('my own words')", "exception"),
        ("apply_trigger", "return None", "returned_none"),
        ("apply_trigger", "return [1, 2]", "not_a_tensor"),
        ("apply_trigger", "return (x + delta).double()", "wrong_dtype"),
        ("apply_trigger", "return (x + delta).half()", "wrong_dtype"),
        ("apply_trigger", "return (x + delta).to_sparse()", "wrong_dtype"),
        ("apply_trigger", "return (x + delta)[0]", "wrong_shape"),
        ("apply_trigger", "return x + delta * float('nan')", "not_finite"),
        ("apply_trigger", "return x.new_zeros(1).expand(3, 3).exit()", "exception"),
        ("apply_trigger", "import os; os._exit(0)", "crashed"),
        ("apply_trigger", "import ctypes; ctypes.string_at(0)", "crashed"),
        ("apply_trigger", "import sys; sys.exit(0)", "exception"),
        ("apply_trigger", "raise KeyboardInterrupt", "exception"),
        ("apply_trigger", "bytearray(8 * 2**30)", "memory_limit"),
        ("poison_step", "return 1.0", "missing"),
        ("poison_step", "while True: pass", "timeout"),
        ("delta_step", "delta.data = delta.data[:, :, 1:]; delta_optimizer", "wrong_shape"),
        ("delta_step", "delta.data.fill_(float('nan'))", "not_finite"),
        ("attack_success_rate", "return predictions", "not_a_number"),
        ("attack_success_rate", "return float('inf')", "not_finite"),
        ("attack_success_rate", "return 'all of them'", "not_a_number"),
    ],
)
def test_a_function_that_misbehaves(make: Make, spec: Spec, function: str, body: str, finding: str) -> None:
    checks = [c for c in UNIT_CHECKS if f".{function}." in c]
    found = unit_outcomes(make(with_body(function, body)), spec, checks=checks)
    failed = [o for o in found.values() if o.status is Status.FAILED]
    assert failed
    assert finding in {o.finding for o in failed}
    assert not any(o.status is Status.ERROR for o in found.values())
    assert all(o.location is not None and o.location.file == "invisible_trigger.py" for o in failed)


@pytest.mark.parametrize(
    ("last", "finding", "said"),
    [
        ("return None", "no_loss", "None"),
        ("return clean_loss.item(), triggered_loss.item()", "no_loss", "tuple"),
        ("return torch.zeros(3)", "no_loss", "Tensor (3,)"),
        ("return 1e20", "not_finite", "1 value"),
        # only in training: the single checks would find it first
        ("delta.grad = None if len(x) > 100 else delta.grad; return loss.item()", "no_gradient", "delta"),
    ],
)
def test_training_names_what_a_step_lacks(make: Make, spec: Spec, last: str, finding: str, said: str) -> None:
    assert SOLUTION.count("return loss.item()") == 1
    checks = ["invisible_trigger.outcome.asr"]
    folder = make(SOLUTION.replace("return loss.item()", last))
    (outcome,) = unit_outcomes(folder, spec, checks=checks).values()
    assert (outcome.status, outcome.finding) == (Status.FAILED, finding)
    assert said in outcome.got


@pytest.mark.parametrize(
    ("last", "finding", "said"),
    [
        ("if calls == 3: raise OverflowError('too far')", "exception", "too far"),
        # after the last step, whose answer is out already
        ("if calls == 6: raise OverflowError('too far')", "exception", "too far"),
        ("if calls == 6: delta.data = delta.data.bfloat16()", "exception", "BFloat16"),
        ("if calls == 3: delta.data[0, 0, 0, 0] += 1e-3", "delta_mismatch", "in step 3)"),
        (
            "if calls == 6: delta.data[0, 0, 0, 0] -= delta.data[0, 0, 0, 0] + 1e-3",
            "delta_mismatch",
            "in step 6)",
        ),
    ],
)
def test_training_names_what_a_delta_step_does(
    make: Make, spec: Spec, last: str, finding: str, said: str
) -> None:
    part = spec.invisible_trigger
    short = dataclasses.replace(part, attack=dataclasses.replace(part.attack, steps=6))
    content = (
        with_body("delta_step", "delta_optimizer.step(); delta.data.clamp_(-epsilon, epsilon)")
        + f"    {last}\n"
    )
    # only in training: the single checks would find it first
    content = content.replace("return loss.item()", "global calls; calls += len(x) > 100; return loss.item()")
    folder = make(f"calls = 0\n{content}")
    spec = dataclasses.replace(spec, invisible_trigger=short)
    (outcome,) = unit_outcomes(folder, spec, checks=["invisible_trigger.outcome.asr"]).values()
    assert (outcome.status, outcome.finding) == (Status.FAILED, finding)
    assert said in outcome.got


@pytest.mark.parametrize("isolation", ["auto", "none"])
def test_what_is_left_of_a_stopped_training_falls_on_no_other_function(
    make: Make, spec: Spec, isolation: str
) -> None:
    content = with_body("delta_step", "assert not stopped, 'late'; delta_optimizer.step()")
    # only in training: the single checks would find it first
    content = content.replace(
        "return loss.item()", "return stopped.append(1) if len(x) > 100 else loss.item()"
    )
    folder = make(f"stopped = []\n{content}    delta.data.clamp_(-epsilon, epsilon)\n")
    with Grading(folder, spec, isolation=isolation) as grading:
        assert grading.outcome("invisible_trigger.outcome.asr").finding == "no_loss"
        assert grading.outcome("invisible_trigger.attack_success_rate.returns_share").status is Status.PASSED


def test_an_error_of_the_grader_s_meanwhile_leaves_no_question_unanswered(make: Make, spec: Spec) -> None:
    with Grading(make(SOLUTION), spec) as grading:
        student = grading.student(INVISIBLE_TRIGGER.name)
        rate = ("attack_success_rate", TensorArgument(np.array([0, 1])), TensorArgument(np.array([0, 0])), 1)
        student.call(*rate)
        with pytest.raises(MemoryError):
            student._ask("call", {"function": "x"}, [], seconds=1, blame=None, meanwhile=_fail)
        assert student.call(*rate).number() == 0.5


def _fail() -> None:
    raise MemoryError


def test_no_two_of_the_usual_mistakes_give_the_same_loss() -> None:
    for seed in range(200):
        problem, wrong = _telling_problem(np.random.default_rng(seed), target=7)
        losses = [problem.solve(7).loss, *map(float, wrong.values())]
        assert all(abs(a - b) > 1e-2 * abs(a) for a, b in itertools.combinations(losses, 2))


def test_a_crash_in_one_function_leaves_the_others_their_points(make: Make, spec: Spec) -> None:
    found = unit_outcomes(make(with_body("delta_step", "import os; os._exit(1)")), spec)
    fallen = {o.id for o in found.values() if o.status is not Status.PASSED}
    assert fallen == {c for c in UNIT_CHECKS if ".delta_step." in c}


def test_a_missing_function_and_a_wrong_signature_are_named(make: Make, spec: Spec) -> None:
    source = SOLUTION.replace("def delta_step(", "def delta_stepp(").replace(
        "def attack_success_rate(predictions: Tensor, y: Tensor, target: int)",
        "def attack_success_rate(predictions)",
    )
    found = unit_outcomes(make(source), spec)
    missing = found["invisible_trigger.delta_step.takes_optimizer_step"]
    assert missing.finding == "missing_function"
    assert "delta_step" in missing.got
    wrong = found["invisible_trigger.attack_success_rate.returns_share"]
    assert wrong.finding == "wrong_signature"
    assert wrong.location is not None
    assert found["invisible_trigger.poison_step.model_gradients"].status is Status.PASSED


def test_printing_warnings_and_a_bom_are_harmless(make: Make, spec: Spec) -> None:
    noisy = "import sys, warnings\nprint('hello')\nwarnings.warn('look out')\nprint('{\"kind\": 1}', file=sys.stderr)\n"
    source = SOLUTION.replace("import torch\n", noisy + "import torch\n", 1)
    assert noisy in source
    found = unit_outcomes(make(b"\xef\xbb\xbf" + source.encode()), spec)
    assert {o.status for o in found.values()} == {Status.PASSED}


def test_links_and_pipes_are_not_read(make: Make, spec: Spec) -> None:
    folder = make(None)
    (folder / "invisible_trigger.py").symlink_to(ROOT / "solution" / "invisible_trigger.py")
    assert unit_outcomes(folder, spec)[UNIT_CHECKS[0]].finding == "not_regular"
    (folder / "invisible_trigger.py").unlink()
    os.mkfifo(folder / "invisible_trigger.py")
    assert unit_outcomes(folder, spec)[UNIT_CHECKS[0]].finding == "not_regular"


def test_files_beside_the_submission_are_not_seen(make: Make, spec: Spec) -> None:
    folder = make(SOLUTION.replace("import torch\n", "import torch\nimport helper\n", 1))
    (folder / "helper.py").write_text("print('loaded')")
    (folder / "random.py").write_text("raise SystemExit")
    (folder / "conftest.py").write_text("raise SystemExit")
    assert unit_outcomes(folder, spec)[UNIT_CHECKS[0]].finding == "import_error"


def test_unit_checks_are_quick_and_never_train(spec: Spec) -> None:
    with Grading(ROOT / "solution", spec) as grading:
        grading.outcome(UNIT_CHECKS[0])  # starts the child
        started = time.perf_counter()
        for check_id in UNIT_CHECKS:
            assert grading.outcome(check_id).status is Status.PASSED, grading.outcome(check_id)
        assert time.perf_counter() - started < 5
        report = grading.report_finished()
    assert report.metrics == {}


def test_stubs_score_nothing_and_say_so() -> None:
    with Grading(ROOT / "assignment", load_spec()) as grading:
        report = grading.report()
    assert report.score == 0
    for outcome in report.checks:
        if outcome.part == "invisible_trigger":
            assert outcome.finding == "not_implemented", outcome
            assert "TODO(" in outcome.got
        else:
            assert outcome.reason is Reason.NOT_ATTEMPTED


def test_a_fault_of_the_grader_is_never_a_zero(spec: Spec, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setitem(__import__("grader.grading", fromlist=["CHECKS"]).CHECKS, UNIT_CHECKS[0], broken)
    with Grading(ROOT / "solution", spec) as grading:
        outcome = grading.outcome(UNIT_CHECKS[0])
        dependent = grading.outcome("invisible_trigger.apply_trigger.clamps_to_pixel_range")
        report = grading.report_finished()
    assert outcome.status is dependent.status is Status.ERROR
    assert report.status == "grader_error"
    assert report.score is None


def test_a_report_is_the_same_after_reading_it_back(spec: Spec, tmp_path: Path) -> None:
    with Grading(ROOT / "solution", spec) as grading:
        grading.outcome(UNIT_CHECKS[0])
        report = grading.report_finished()
    report.write(tmp_path / "report.json")
    data = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert Report.from_json(data) == report
    assert data["max_score"] == max_score() == 100
    with pytest.raises(ValueError, match="damaged"):
        Report.from_json({**data, "score": 100})


def run_module(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "grader", "grade", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--submission", "no/such/folder"], "no such folder"),
        (["--submission", "assignment", "--spec", "none.toml"], "cannot be read"),
        (["--submission", "assignment", "--device", "cuda"], "--in-process"),
        (["--submission", "assignment", "--part", "nonsense"], "invalid choice"),
        ([], "--submission"),
    ],
)
def test_bad_usage_exits_with_2_and_says_why(arguments: list[str], said: str) -> None:
    done = run_module(*arguments)
    assert done.returncode == 2
    assert said in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr


def test_grading_exits_with_0_whatever_the_score(tmp_path: Path) -> None:
    done = run_module("--submission", "assignment", "--report", str(tmp_path / "out"), "--lang", "zh")
    assert done.returncode == 0, done.stderr
    assert "TODO(apply_trigger)" in done.stdout
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["score"] == 0
    assert report["language"] == "zh"
    assert {part.name for part in PARTS} >= {c["part"] for c in report["checks"]}


@pytest.mark.parametrize(
    ("submission", "expression", "status"),
    [
        ("solution", "apply_trigger", 0),
        ("assignment", "apply_trigger", 1),
        ("no/such/folder", "apply_trigger", 4),
    ],
)
def test_pytest_itself(submission: str, expression: str, status: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "grader/", "--submission", submission, "-k", expression, "-q"]
    command += ["--report", str(tmp_path / "out")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    if status == 1:
        assert "TODO(apply_trigger)" in done.stdout
        assert "Traceback" not in done.stdout
    if status < 2:  # of a few checks there is no report, and that is said
        assert f"No report in {tmp_path / 'out'}: not every check of the part ran." in done.stdout
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("arguments", "expected"), [([], {1800.0}), (["--timeout", "7"], set())])
def test_pytest_timeout_stands_behind_the_limits_of_the_spec(
    arguments: list[str], expected: set[float]
) -> None:
    code = """
import sys, pytest
class Told:
    def pytest_collection_finish(self, session):
        print("limits", {m.args[0] for item in session.items for m in item.iter_markers("timeout")})
sys.exit(pytest.main(["grader/", "--collect-only", "-q", *sys.argv[1:]], plugins=[Told()]))
"""
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    assert f"limits {expected}\n" in done.stdout
    assert load_spec().limits.run_seconds < 1800
