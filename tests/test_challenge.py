"""The leaderboard: challenge.toml is read strictly, its run touches no point, and nothing hidden shows in it."""

from __future__ import annotations

import os
import re
import tomllib
import zipfile
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from torch import nn

from grader import leaderboard, messages
from grader.batch.intake import identical, take_class
from grader.calls import Finding
from grader.challenge import read_entry
from grader.exports import actions, figures, html, table, terminal
from grader.exports.class_page import Row, ranking
from grader.grading import Grading
from grader.isolation import ROOT
from grader.lab.training import AttackSettings
from grader.outcome import ChallengeResult, Report
from grader.parts.invisible_trigger_attack import Data, load_data
from grader.parts.invisible_trigger_challenge import Reached
from grader.parts.run import PartRun
from grader.spec import Spec, load_spec
from grader.submission import read_submission
from tests.batch.helpers import challenge, small_spec
from tests.exports import reports

HANDED_OUT = (ROOT / "assignment" / "challenge.toml").read_text(encoding="utf-8")
SOLUTION = (ROOT / "solution" / "invisible_trigger.py").read_text(encoding="utf-8")


def entry(**values: str) -> str:
    """The handed out file, entered, with other values (TOML) and of two steps unless said otherwise."""
    return challenge(**{"steps": "2", **values})


def submission(folder: Path, challenge: str | None, source: str = SOLUTION) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "invisible_trigger.py").write_text(source, encoding="utf-8")
    if challenge is not None:
        (folder / "challenge.toml").write_text(challenge, encoding="utf-8")
    return folder


def read(text: str) -> object:
    return read_entry(text.encode(), most_levels=8, most_steps=3000)


# --- the file --------------------------------------------------------------------------------------------------------


def test_the_file_handed_out_says_what_the_spec_says():
    spec = load_spec()
    found = read(HANDED_OUT)
    assert asdict(found) == {"grey_levels": 8, "attack": asdict(AttackSettings())}  # type: ignore[call-overload]
    assert spec.invisible_trigger.attack == AttackSettings()
    assert tomllib.loads(HANDED_OUT)["enabled"] is False
    comments = " ".join(re.findall(r"#(.*)", HANDED_OUT))
    goal = spec.challenge
    for text in (
        f"at most {goal.max_steps}", f"at least {100 * goal.least_asr:.0f} %",
        f"at most {100 * goal.largest_acc_drop} points", f'"{goal.max_grey_levels}/255"',
    ):  # fmt: skip
        assert text in comments, text


FAULTS = [
    ("enabled = tru", "not_toml"),
    ("a = " + "[" * 5000, "not_toml"),
    (entry(epsilon='"0/255"'), "not_an_epsilon"),
    (entry(epsilon='"9/255"'), "not_an_epsilon"),
    (entry(epsilon='"1.5/255"'), "not_an_epsilon"),
    (entry(epsilon='"3/256"'), "not_an_epsilon"),
    (entry(epsilon='"1/0"'), "not_an_epsilon"),
    (entry(epsilon='"1e99999999999"'), "not_an_epsilon"),
    (entry(epsilon="0.01"), "not_an_epsilon"),
    (entry(epsilon="nan"), "not_an_epsilon"),
    (entry(enabled='"yes"'), "wrong_type"),
    (entry(steps="3001"), "out_of_range"),
    (entry(steps="0"), "out_of_range"),
    (entry(steps="2.0"), "wrong_type"),
    (entry(steps="true"), "wrong_type"),
    (entry(batch_size="257"), "out_of_range"),
    (entry(model_learning_rate="inf"), "out_of_range"),
    (entry(model_learning_rate="nan"), "out_of_range"),
    (entry(model_learning_rate="10" + "0" * 400), "out_of_range"),
    (entry(model_beta1="1"), "out_of_range"),
    (entry(delta_learning_rate="-0.1"), "out_of_range"),
    (entry() + "momentum = 1\n", "unknown_key"),
    ("score = 100\n" + entry(), "unknown_key"),
    (entry().replace("batch_size", "#"), "missing_key"),
    (entry().replace("[training]", "[trainning]"), "missing_key"),
    ('enabled = true\nepsilon = "1/255"\ntraining = 3\n', "wrong_type"),
]


@pytest.mark.parametrize(("text", "finding"), FAULTS)
def test_what_is_wrong_with_the_file_is_said(text: str, finding: str):
    with pytest.raises(Finding) as caught:
        read(text)
    assert caught.value.key == finding
    for language in messages.LANGUAGES:
        said = messages.challenge(finding, caught.value.values, language)
        assert "challenge.toml" in said
        assert len(said) < 400


@pytest.mark.parametrize("finding", sorted({finding for _, finding in FAULTS}))
def test_a_fault_of_the_file_costs_no_point_and_is_in_the_report(tmp_path: Path, spec: Spec, finding: str):
    text = next(text for text, found in FAULTS if found == finding)
    with Grading(submission(tmp_path / "s", text), spec) as grading:
        found = grading.challenge()
        report = grading.report_finished()
    assert found is not None
    assert found.status == "unusable"
    assert "challenge.toml" in found.text
    assert Report.from_json(report.to_json()).challenge == found


def test_who_takes_part(tmp_path: Path):
    without = read_submission(submission(tmp_path / "a", None))
    disabled = read_submission(submission(tmp_path / "b", HANDED_OUT))
    entered = read_submission(submission(tmp_path / "c", entry()))
    broken = read_submission(submission(tmp_path / "d", "enabled = "))
    large = read_submission(submission(tmp_path / "e", entry() + "#" * 17_000))
    assert (without.challenge, disabled.challenge) == (None, None)
    assert without.hash == disabled.hash
    assert entered.challenge is not None
    assert len({without.hash, entered.hash, broken.hash, large.hash}) == 4
    assert broken.challenge is not None
    assert broken.challenge.problem is None
    assert large.challenge is not None
    assert large.challenge.problem == "too_large"
    folder = submission(tmp_path / "f", None)
    os.symlink("/etc/passwd", folder / "challenge.toml")
    linked = read_submission(folder).challenge
    assert linked is not None
    assert linked.problem == "not_regular"


def test_the_batch_takes_it_along_and_never_alone(tmp_path: Path):
    class_ = tmp_path / "class"
    class_.mkdir()
    submission(class_ / "ann", entry())
    repository = class_ / "bob"
    (repository / "assignment").mkdir(parents=True)
    submission(repository / "assignment", entry(steps="3"))
    (repository / "challenge.toml").write_text(entry(steps="4"))  # not beside the code: not looked at
    with zipfile.ZipFile(class_ / "eve.zip", "w") as archive:
        archive.writestr("work/challenge.toml", entry(steps="5"))
        archive.writestr("work/invisible_trigger.py", SOLUTION)
    (class_ / "zoe").mkdir()
    (class_ / "zoe" / "challenge.toml").write_text(entry())
    found = {e.login: e for e in take_class(class_).entries}
    steps = {
        login: re.findall(rb"steps = (\d)", e.files["challenge.toml"] or b"")
        for login, e in found.items()
        if e.files
    }
    assert steps == {"ann": [b"2"], "bob": [b"3"], "eve": [b"5"]}
    assert found["zoe"].problem
    assert "invisible_trigger.py" in found["zoe"].problem
    assert identical(list(found.values())) == [["ann", "bob", "eve"]]
    assert len({e.hash for e in found.values()}) == 4


# --- the run ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Spec:
    """Trains three steps and is content with everything; so is its leaderboard, unless a test wants more."""
    changes = {"least_asr": "0.0", "largest_acc_drop": "1.0"}
    return load_spec(small_spec(tmp_path_factory.mktemp("spec") / "spec.toml", **changes))


def grade(folder: Path, spec: Spec, language: str = "en") -> Report:
    with Grading(folder, spec, language=language) as grading:
        return grading.report()


def result(report: Report) -> ChallengeResult:
    assert report.challenge is not None
    return report.challenge


def only_entry(folder: Path, spec: Spec, monkeypatch: pytest.MonkeyPatch) -> tuple[ChallengeResult, Report]:
    """The entry's run alone, as if every check had passed."""
    with Grading(folder, spec) as grading:
        monkeypatch.setattr(grading, "_lacking", lambda: None)
        found = grading.challenge()
        assert found is not None
        return found, grading.report_finished()


def test_an_entry_that_reaches_the_goal_is_ranked(tmp_path: Path, spec: Spec, monkeypatch):
    found, report = only_entry(submission(tmp_path / "s", entry(epsilon='"3/255"')), spec, monkeypatch)
    assert (found.status, found.grey_levels, found.steps) == ("ranked", 3, 2)
    assert found.asr is not None
    assert found.acc_drop is not None
    assert 0 <= found.asr <= 1
    assert Report.from_json(report.to_json()) == report


@pytest.mark.parametrize(
    ("weights", "goal", "status"),
    [
        ("as they were", (0.0, 0.0), "ranked"),  # not one image less
        ("as they were", (0.5, 0.0), "missed"),  # no training, no ASR
        ("wrecked", (0.0, 0.5), "missed"),  # one class for all
    ],
)
def test_the_goal_has_two_halves(
    tmp_path: Path, spec: Spec, weights: str, goal: tuple[float, float], status: str, monkeypatch
):
    def train(model: nn.Module, *_: object, **__: object) -> None:
        if weights == "wrecked":
            for parameter in model.parameters():
                parameter.data.zero_()

    module = "grader.parts.invisible_trigger_challenge"
    data = load_data(0)
    monkeypatch.setattr(f"{module}.train_backdoor", train)
    monkeypatch.setattr(f"{module}.load_data", lambda seed: Data(data.train, data.test.subset(slice(500))))
    strict = replace(spec, challenge=replace(spec.challenge, least_asr=goal[0], largest_acc_drop=goal[1]))
    found, _ = only_entry(submission(tmp_path / "s", entry()), strict, monkeypatch)
    assert found.status == status
    assert found.acc_drop is not None
    assert (found.acc_drop > 0.5) == (weights == "wrecked")
    if status == "missed":
        assert "does not count yet" in found.text


def test_without_leaderboard_nothing_runs(tmp_path: Path, spec: Spec, monkeypatch):
    monkeypatch.setattr(leaderboard, "enter", None)
    for text, steps in ((None, 3000), (HANDED_OUT, 3000), (entry(), 0)):
        other = replace(spec, challenge=replace(spec.challenge, max_steps=steps))
        with Grading(submission(tmp_path / "s", text), other) as grading:
            assert grading.challenge() is None


def test_code_that_fails_only_there_costs_no_point(tmp_path: Path, spec: Spec):
    """The student's code sees another epsilon there and gives up."""
    source = f"{SOLUTION}\nright = delta_step\n\ndef delta_step(delta, delta_optimizer, epsilon):\n" + (
        "    if delta.shape[-1] == 28 and epsilon < 0.01:\n        raise ValueError('too small')\n"
        "    right(delta, delta_optimizer, epsilon)\n"
    )
    report = grade(submission(tmp_path / "s", entry(epsilon='"1/255"'), source), spec)
    assert (report.score, result(report).status, report.review) == (100, "unusable", ())
    assert "too small" in result(report).text


def test_a_function_that_is_wrong_comes_first(tmp_path: Path, spec: Spec):
    report = grade(
        submission(tmp_path / "s", entry(), (ROOT / "assignment/invisible_trigger.py").read_text()),
        spec,
        "zh",
    )
    assert (report.score, result(report).status) == (0, "unusable")
    assert "没有通过" in result(report).text


def test_gradients_of_something_else_are_not_ranked_and_seen(tmp_path: Path, spec: Spec, monkeypatch):
    source = (
        f"{SOLUTION}\nright = poison_step\nseen = []\n\ndef poison_step(model, delta, x, y, target):\n"
        + (
            "    loss = right(model, delta, x, y, target)\n    if len(x) == 100:\n        delta.grad.mul_(-1)\n"
            "        [p.grad.mul_(-1) for p in model.parameters()]\n    return loss\n"
        )
    )
    every = replace(spec, invisible_trigger=replace(spec.invisible_trigger, audit_share=1.0))
    found, report = only_entry(
        submission(tmp_path / "s", entry(batch_size="100"), source), every, monkeypatch
    )
    assert found.status == "unusable"
    assert report.review


def test_a_fault_of_the_grader_costs_nothing(tmp_path: Path, spec: Spec, monkeypatch):
    def fail(run: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(leaderboard, "run_entry", fail)
    found, _ = only_entry(submission(tmp_path / "s", entry()), spec, monkeypatch)
    assert found.status == "error"
    assert "no space left" in found.text


def test_beside_a_hidden_spec_it_runs_under_the_public_one(tmp_path: Path, monkeypatch):
    """The target, epsilon, seeds and split of the hidden spec never reach the entry's run."""
    seen: list[Spec] = []
    values = {"hidden": "true", "target": "3", "split_seed": "5", "clean_seed": "6", "seed": "77"}
    hidden = load_spec(small_spec(tmp_path / "hidden.toml", **values))

    def run(run: PartRun) -> Reached:
        seen.append(run.spec)
        return Reached(1.0, 0.0, True)

    monkeypatch.setattr(leaderboard, "run_entry", run)
    found, _ = only_entry(submission(tmp_path / "s", entry(epsilon='"2/255"')), hidden, monkeypatch)
    assert found.status == "ranked"
    public = load_spec()
    (ran,) = seen
    assert ran.invisible_trigger == replace(
        public.invisible_trigger, epsilon=2 / 255, attack=replace(AttackSettings(), steps=2)
    )
    assert (ran.seed, ran.hidden) == (public.seed, False)


# --- where it is shown -----------------------------------------------------------------------------------------------


def test_every_reader_gets_it_and_no_score_changes():
    with_entry, without = reports.full(challenge=reports.RANKED), reports.full()
    assert "Leaderboard: Your entry counts." in terminal.render(with_entry)
    assert "Leaderboard: Your entry counts" in actions.summary(with_entry)
    assert "Your entry counts." in html.render_page(with_entry)
    assert "Leaderboard" not in terminal.render(without) + html.render_page(without) + actions.summary(
        without
    )
    row = table.row(with_entry)
    assert (row["challenge"], row["challenge_grey_levels"], row["challenge_steps"], row["score"]) == (
        "ranked",
        3,
        2800,
        100,
    )
    assert table.row(without)["challenge"] is None
    assert figures.built(with_entry, None, "en") == figures.built(without, None, "en")


def test_the_class_is_ranked_by_epsilon_then_steps():
    def row(login: str, levels: int, steps: int, status: str = "ranked") -> Row:
        entry_ = replace(reports.RANKED, grey_levels=levels, steps=steps, status=status)
        return Row(login, "", "graded", 100, 0, 100, False, "", challenge=entry_)

    rows = [
        row("d", 3, 900),
        row("a", 2, 3000),
        row("c", 3, 800),
        row("b", 3, 800),
        row("x", 1, 10, "missed"),
    ]
    rows.append(Row("y", "", "graded", 100, 0, 100, False, ""))
    assert [(place, found.login) for place, found, _ in ranking(rows)] == [
        (1, "a"),
        (2, "b"),
        (2, "c"),
        (4, "d"),
    ]
