"""Grades the corpus: mutants lose what their label says, styles nothing, hostile submissions gain nothing.

Mutants and styles are harmless, so they run in this process, which saves starting a child for each; some of them run in
the sandbox as well. Training runs for a few, under a spec of few steps; ``make validity`` trains for all.
"""

import dataclasses
import json
import time
from pathlib import Path

import pytest

from grader.contract import part
from grader.grading import Grading, grade
from grader.isolation import available_isolation
from grader.lab.data import split_mnist
from grader.outcome import Outcome, Report
from grader.parts import invisible_trigger_attack as attack
from grader.sandbox import ChildServer, Meanwhile, nothing
from grader.spec import CleanLabelSpec, Spec, load_spec
from grader.wire import Frame
from tests.corpus import FEW_STEPS, Hostile, Item, hostile, materialise, mutants, styles
from tests.corpus_verdict import violations

ISOLATION, WHY_NOT = available_isolation()
SANDBOXED_MUTANTS = ("trigger_not_clamped", "model_gradients_not_cleared", "projection_l2", "rate_in_percent")
SANDBOXED_STYLES = ("chatty", "partial_and_lambda", "functional_call", "chinese_comments")
SLACK_SECONDS = 5.0  # after its limit every attack is over
LEAST_STEPS = 10  # where the attack is not on the training
TRAINED_STYLES = ("chatty", "hardtanh_clamp", "float64_inside")


def small_clean_label(spec: Spec) -> CleanLabelSpec:
    """Few targets and images; two of the three targets must turn, and CIFAR-10 is left out."""
    part = spec.clean_label
    mnist = dataclasses.replace(
        part.mnist, targets=3, poisons=8, images=300, candidates=6000, judged=1000, iterations=40,
        turned=2, acc_drop=0.05,
    )  # fmt: skip
    return dataclasses.replace(part, on_cifar10=False, mnist=mnist)


@pytest.fixture(scope="module")
def short() -> Spec:
    """Few steps, thresholds that they reach, and short limits; a fifth of the steps is audited."""
    return short_spec()


def short_spec(steps: int = FEW_STEPS) -> Spec:
    """The same with more steps, which are smaller and audited less often then."""
    public = load_spec()
    settings = public.invisible_trigger
    few = steps <= FEW_STEPS
    return dataclasses.replace(
        public,
        limits=dataclasses.replace(
            public.limits, load_seconds=6, call_seconds=5, step_seconds=5, run_seconds=150
        ),
        invisible_trigger=dataclasses.replace(
            settings,
            audit_share=0.2 if few else 0.02,
            attack=dataclasses.replace(settings.attack, steps=steps, batch_size=32 if few else 16),
            thresholds=dataclasses.replace(settings.thresholds, acc=0.0, asr=0.0, untriggered_rate=1.0),
        ),
        clean_label=small_clean_label(public),
    )


def unit_outcomes(item: Item, spec: Spec, folder: Path, isolation: str) -> list[Outcome]:
    """The unit checks, and the outcome checks where they are skipped because of one of these."""
    with Grading(materialise(item, folder), spec, isolation=isolation) as grading:
        found = {c.id: grading.outcome(c.id) for c in part(item.part).checks if not c.is_outcome}
        for check in part(item.part).checks:
            if any(required in found and not found[required].points for required in check.requires):
                found[check.id] = grading.outcome(check.id)
        return list(found.values())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mutant", mutants(), ids=lambda item: f"{item.part}-{item.name}")
def test_a_mutant_loses_what_its_label_says(mutant: Item, short: Spec, tmp_path: Path) -> None:
    assert violations(mutant, unit_outcomes(mutant, short, tmp_path, "none")) == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("style", styles(), ids=lambda item: f"{item.part}-{item.name}")
def test_a_style_loses_nothing(style: Item, short: Spec, tmp_path: Path) -> None:
    assert violations(style, unit_outcomes(style, short, tmp_path, "none")) == []


@pytest.mark.parametrize("name", SANDBOXED_MUTANTS + SANDBOXED_STYLES)
def test_the_sandbox_gives_the_same(name: str, short: Spec, tmp_path: Path) -> None:
    item = next(item for item in (*mutants(), *styles()) if item.name == name)
    assert violations(item, unit_outcomes(item, short, tmp_path, ISOLATION)) == []


@pytest.mark.parametrize("name", TRAINED_STYLES)
def test_a_style_trains(name: str, short: Spec, tmp_path: Path) -> None:
    style = next(item for item in styles() if item.name == name)
    report = grade(materialise(style, tmp_path), short, parts=[style.part])
    assert violations(style, report.checks, report.review) == []


@pytest.fixture(scope="module")
def little_data() -> attack.Data:
    """Enough images to train a few steps and to say something of the result."""
    train, test = split_mnist(0, grey_levels=True)
    return attack.Data(train.subset(slice(8000)), test.subset(slice(300)))


@pytest.fixture
def overdue(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Filled with how long after its time limit each question to a child came back (s; negative: within it)."""
    found: list[float] = []
    ask = ChildServer.ask

    def timed(self: ChildServer, question: Frame, *, seconds: float, meanwhile: Meanwhile = nothing) -> Frame:
        began = time.monotonic()
        try:
            return ask(self, question, seconds=seconds, meanwhile=meanwhile)
        finally:
            found.append(time.monotonic() - began - seconds)

    monkeypatch.setattr(ChildServer, "ask", timed)
    return found


@pytest.mark.skipif(ISOLATION != "bubblewrap", reason=f"hostile code runs in the sandbox only: {WHY_NOT}")
@pytest.mark.parametrize("item", hostile(), ids=lambda item: item.name)
def test_an_attack_gains_nothing(
    item: Hostile,
    little_data: attack.Data,
    overdue: list[float],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(attack, "load_data", lambda split_seed: little_data)
    folder = materialise(item, tmp_path / "submissions")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    started = time.monotonic()
    steps = LEAST_STEPS if item.spares_the_outcome else item.steps
    report = grade(folder, short_spec(steps), parts=[item.part])
    report.write(tmp_path / "report.json")
    assert violations(item, report.checks, report.review) == []
    assert Report.from_json(json.loads((tmp_path / "report.json").read_text("utf-8"))) == report
    # nothing was written, neither into the submission nor beside it
    assert {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()} == dict(
        item.files()
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["elsewhere", "report.json", "submissions"]
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert max(overdue) < SLACK_SECONDS
    assert time.monotonic() - started < 200
