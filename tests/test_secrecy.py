"""A hidden spec stays hidden: a report says the same under two of them, whatever the student's code tries to tell.

Student code may depend on the target and on epsilon, which it is given. It must not be able to pass them on.
"""

import dataclasses
import json
import re
from hashlib import sha256
from pathlib import Path

import pytest

from grader import messages, secrecy
from grader.__main__ import main
from grader.contract import PARTS
from grader.grading import Grading, grade
from grader.isolation import ROOT, available_isolation
from grader.outcome import Status
from grader.report_files import write_report
from grader.settings import SPEC_VARIABLE
from grader.spec import Spec, load_spec
from tests.batch.helpers import CORE, small_spec

SOLUTION = (ROOT / "solution" / CORE).read_text(encoding="utf-8")
needs_bubblewrap = pytest.mark.skipif(
    available_isolation()[0] != "bubblewrap", reason=available_isolation()[1]
)
# Two specs in which everything differs that a student could wish to know (the clean start apart, to train none).
ONE = {"target": "3", "epsilon": "0.0213741", "seed": "918273645", "asr": "0.000271828", "acc": "0.000314159"}
OTHER = {
    "target": "5",
    "epsilon": "0.0471922",
    "seed": "546372819",
    "asr": "0.000161803",
    "acc": "0.000141421",
}
LIMITS = {"call_seconds": "3.0", "step_seconds": "3.0", "run_seconds": "60.0"}


def hidden(tmp_path: Path, values: dict[str, str], **more: str) -> Spec:
    return load_spec(spec_file(tmp_path, values, **more))


def spec_file(tmp_path: Path, values: dict[str, str], **more: str) -> Path:
    path = tmp_path / f"spec-{values['target']}.toml"
    return small_spec(path, name='"quiz"', hidden="true", **values, **{**LIMITS, **more})


def submission(tmp_path: Path, source: str) -> Path:
    folder = tmp_path / "submission"
    folder.mkdir()
    (folder / CORE).write_text(source, encoding="utf-8")
    return folder


def replaced(**bodies: str) -> str:
    """The solution with the bodies of some functions replaced."""
    source = SOLUTION
    for name, body in bodies.items():
        parameters = ", ".join(next(p for p in PARTS if p.filename == CORE).function(name).parameters)
        source += f"\n\ndef {name}({parameters}):\n" + "".join(f"    {line}\n" for line in body.splitlines())
    return source


TELLING = {
    "texts": replaced(
        poison_step="print(target)\nraise ValueError(f'the target is {target}')",
        delta_step="print(epsilon)\nraise NotImplementedError(f'TODO({epsilon})')",
        attack_success_rate="import sys\nsys.stderr.write(str(target))\nreturn type(f'Target{target}', (), {})()",
    ),
    "lines": replaced(
        poison_step="if target == 3:\n    raise ValueError\nraise ValueError",
        delta_step="if epsilon < 0.03:\n    raise ValueError\nraise ValueError",
        attack_success_rate="if target == 3:\n    raise ValueError\nraise ValueError",
    ),
    "forms and numbers": replaced(
        poison_step="return torch.zeros(target + 1)",
        delta_step="delta.data = torch.full_like(delta, epsilon)",
        attack_success_rate="return 100.0 + target",
    ),
    "exit status": replaced(
        poison_step="import os; os._exit(target)",
        delta_step="import os; os._exit(int(1000 * epsilon))",
        attack_success_rate="import os; os.kill(os.getpid(), 0); raise SystemExit(target)",
    ),
    "where it lies": SOLUTION
    + "\nright = poison_step\ncalls = 0\n"
    + replaced(
        poison_step="global calls\ncalls += len(x) > 99\nloss = right(model, delta, x, y, target)\n"
        "if calls > target:\n    delta.grad.neg_(); [p.grad.neg_() for p in model.parameters()]\nreturn loss"
    ).removeprefix(SOLUTION),
}


def told(folder: Path, spec: Spec, out: Path, *, isolation: str = "auto") -> dict[str, bytes]:
    """Everything that the student may be given, with the spec's own hash taken out."""
    with Grading(folder, spec, isolation=isolation, report_directory=out) as grading:
        report = dataclasses.replace(grading.report(), spec_hash="")
        assert grading.output == ""
        write_report(grading, report, out)
    return {path.name: path.read_bytes() for path in out.iterdir()}


@needs_bubblewrap
@pytest.mark.parametrize("channel", TELLING)
def test_two_hidden_specs_give_the_same_feedback(channel: str, tmp_path: Path) -> None:
    folder = submission(tmp_path, TELLING[channel])
    more = {"steps": "12", "audit_share": "1.0"} if channel == "where it lies" else {}
    found = [
        told(folder, hidden(tmp_path, values, **more), tmp_path / name)
        for name, values in (("one", ONE), ("other", OTHER))
    ]
    assert found[0] == found[1]
    assert set(found[0]) == {"report.json", "report.html"}
    report = json.loads(found[0]["report.json"])
    assert report["score"] < 100
    assert (report["seed"], report["seconds"], report["metrics"], report["pictures"]) == (None, 0.0, {}, {})
    if channel == "where it lies":
        assert report["review"]


@needs_bubblewrap
def test_full_marks_tell_nothing_either(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    """Nor does the time that it took; through the command line, the spec named by the option or the environment."""
    source = SOLUTION.replace("import torch\n", "import time\n\nimport torch\n", 1) + "\nprint('imported')\n"
    source = source.replace("delta_optimizer.step()", "delta_optimizer.step(); time.sleep(epsilon)", 1)
    assert source.count("sleep") == 1
    folder = submission(tmp_path, source)
    shown = []
    for name, values in (("one", ONE), ("other", OTHER)):
        path = spec_file(tmp_path, values)
        words = ["grade", "--submission", str(folder), "--report", str(tmp_path / name)]
        if name == "one":
            words += ["--spec", str(path)]
        else:
            monkeypatch.setenv(SPEC_VARIABLE, str(path))
        assert main(words) == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1]
    assert "Score: 100 of 100" in shown[0]
    assert "imported" not in shown[0]
    files = [{p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in ("one", "other")]
    assert set(files[0]) == set(files[1]) == {"report.json", "report.html"}
    assert files[0]["report.html"] == files[1]["report.html"]
    for text in (content for of in files for content in of.values()):
        for value in (*ONE.values(), *OTHER.values()):
            assert len(value) == 1 or value.encode() not in text


PROBE = """
import gc, hashlib, os, sys

KNOWN, LENGTHS = {known!r}, {lengths!r}

def look(value, found):
    if type(value) not in (int, float, str):
        return
    words = value.replace("=", " ").replace("/", " ").split() if type(value) is str else []
    for text in (repr(value), str(value), *words):
        if len(text) not in LENGTHS:
            continue
        digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
        if digest in KNOWN:
            found.add(KNOWN[digest])

def everything():
    found = set()
    frame = sys._getframe()
    while frame is not None:
        for value in (*frame.f_locals.values(), *frame.f_globals.values()):
            look(value, found)
        frame = frame.f_back
    for item in gc.get_objects():
        if isinstance(item, dict):
            for pair in list(item.items()):
                look(pair[0], found), look(pair[1], found)
        elif isinstance(item, (list, tuple, set, frozenset)):
            for value in list(item):
                look(value, found)
    for name in ("self/environ", "1/environ", "1/cmdline", "self/cmdline", "self/mountinfo"):
        try:
            with open("/proc/" + name) as file:
                look(file.read().replace("\\0", " "), found)
        except OSError:
            pass
    for folder, _, names in os.walk("/grader"):
        for name in names:
            with open(os.path.join(folder, name)) as file:
                look(file.read(), found)
    return sorted(found)
"""


@needs_bubblewrap
def test_the_child_holds_target_and_epsilon_and_nothing_else_of_the_spec(tmp_path: Path) -> None:
    """Searched from inside, in the midst of training: frames, all objects, environments, command lines, files."""
    odd = {
        **ONE,
        "clean_seed": "1",
        "untriggered_rate": "0.9182731",
        "name": '"quiz-of-monday"',
        "hidden": "false",
    }
    path = tmp_path / "secret-place.toml"
    spec = load_spec(small_spec(path, **{**odd, **LIMITS, "step_seconds": "60.0"}))
    secrets = {
        "epsilon": repr(spec.invisible_trigger.epsilon),  # given, so the search must find it
        "seed": repr(spec.seed),
        "hash": spec.hash,
        "name": spec.name,
        "path": path.name,
        "model's learning rate": repr(spec.invisible_trigger.attack.model_learning_rate),
        **{k: repr(v) for k, v in dataclasses.asdict(spec.invisible_trigger.thresholds).items()},
    }
    known = {sha256(value.encode()).hexdigest(): name for name, value in secrets.items()}
    source = (
        SOLUTION
        + PROBE.format(known=known, lengths={len(value) for value in secrets.values()})
        + "\nright, steps = delta_step, 0\n"
    )
    body = (
        "global steps\nright(delta, delta_optimizer, epsilon)\nsteps += delta.shape[-1] == 28\n"
        "if steps == 2:\n    raise ValueError(everything())"
    )
    source += replaced(delta_step=body).removeprefix(SOLUTION)
    report = grade(submission(tmp_path, source), spec)
    asr = next(c for c in report.checks if c.id.endswith("outcome.asr"))
    assert asr.status is Status.FAILED
    assert re.findall(r"raised ValueError: (\[.*\])", asr.got) == ["['epsilon']"], asr.got


# --- the rule itself -------------------------------------------------------------------------------------------------


def every_finding() -> list[tuple[str, str]]:
    table = messages._load("en")
    return [
        (check.id, finding)
        for part in PARTS
        for check in part.checks
        for finding in {
            **table["findings"],
            **table["skips"],
            **table["checks"][check.id].get("findings", {}),
        }
    ]


@pytest.mark.parametrize("patterns", [(), ("*",), ("invisible_trigger.outcome.*",)])
@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_every_finding_has_a_form_that_can_be_told(language: str, patterns: tuple[str, ...]) -> None:
    own: dict[str, messages.Value] = dict.fromkeys(secrecy._OWN_VALUES, "x")
    for check_id, finding in every_finding():
        key = secrecy.told(check_id, finding, patterns)
        texts = messages.render(check_id, key, own, language, plain=True)
        assert texts.got, (check_id, finding)
        assert texts.hint
        if patterns == ("*",):
            assert key in secrecy._OWN_FINDINGS | {"withheld", "grader_error_withheld"}, finding


def test_only_what_the_grader_knows_by_itself_is_told() -> None:
    values = {"found": "Target3", "line": 3, "todo": "delta_step", "file": CORE}
    assert secrecy.own_values(values) == {"todo": "delta_step", "file": CORE}
    assert secrecy.told("invisible_trigger.apply_trigger.adds_delta", "subtracted", ()) == "subtracted"
    assert secrecy.told("invisible_trigger.apply_trigger.adds_delta", "differs", ()) == "withheld"
    assert secrecy.told("invisible_trigger.apply_trigger.adds_delta", "subtracted", ("*",)) == "withheld"
    assert secrecy.told("invisible_trigger.apply_trigger.adds_delta", None, ("*",)) is None
