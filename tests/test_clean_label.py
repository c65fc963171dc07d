"""Part 2's outcome: what is drawn for it, what it accepts, and what it is told."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from grader.exports.figures import built
from grader.grading import Grading
from grader.lab.last_layer import logits
from grader.outcome import Reason, Report, Status
from grader.parts.clean_label_victims import Victim, mnist_victim
from grader.spec import Spec, load_spec
from tests.test_corpus_graded import small_clean_label

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def spec() -> Spec:
    public = load_spec()
    threads = dataclasses.replace(public.threads, parent=1, child=1)
    return dataclasses.replace(public, threads=threads, clean_label=small_clean_label(public))


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """All of it is small, and a second thread would mostly wait for the first."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def graded(spec: Spec, tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Path]:
    folder = tmp_path_factory.mktemp("report")
    with Grading(ROOT / "solution", spec, isolation="none", report_directory=folder) as grading:
        return grading.report(["clean_label"]), folder


def victim_of(spec: Spec, seed: int) -> Victim:
    with Grading(ROOT / "solution", spec.with_seed(seed), isolation="none") as grading:
        return mnist_victim(grading._runs["clean_label"])


def test_the_solution_earns_everything_and_cifar10_is_no_condition(graded: tuple[Report, Path]) -> None:
    report, _ = graded
    for check in report.checks:
        if "cifar10" in check.id:
            assert (check.status, check.reason, check.max_points) == (
                Status.SKIPPED, Reason.RESOURCE_ABSENT, 0,
            )  # fmt: skip
            assert "CIFAR-10" in check.got
        else:
            assert check.status is Status.PASSED, check
    assert report.bonus == 30


def test_what_was_built_is_told_and_drawn(graded: tuple[Report, Path]) -> None:
    report, folder = graded
    metrics = report.metrics["clean_label"]
    assert metrics["targets"] == 3
    assert metrics["turned"] >= 2
    assert metrics["distance_after"] < metrics["distance_before"] / 2
    rows = report.tables["clean_label"]["targets"]
    assert sum(row["after"] > 0.5 for row in rows) >= 2
    assert all(row["before"] < 0.5 and row["levels"] <= 76.01 for row in rows)
    for language in ("en", "zh"):
        (part,) = built(report, folder, language)
        assert len(part.tiles) == 6
        assert [len(table.rows) for table in part.tables] == [3]
        assert len(part.pictures) == 2
        assert all(picture.alt for picture in part.pictures)


def test_targets_are_right_without_poisons_and_other_seeds_have_others(spec: Spec) -> None:
    first, second = victim_of(spec, 1), victim_of(spec, 2)
    for victim in (first, second):
        said = logits(victim.layer, victim.target_features).argmax(1)
        assert torch.equal(said, victim.targets.y)
        assert torch.equal(victim.test_y[victim.targets.index], victim.targets.y)
        assert bool((victim.targets.base_class != victim.targets.y).all())
    assert not torch.equal(first.targets.x, second.targets.x)


@pytest.mark.cifar10
@pytest.mark.slow
def test_the_solution_turns_targets_of_cifar10(spec: Spec) -> None:
    part = spec.clean_label
    few = dataclasses.replace(part.cifar10, targets=2, candidates=300, judged=300, turned=1, acc_drop=0.05)
    asked = dataclasses.replace(spec, clean_label=dataclasses.replace(part, on_cifar10=True, cifar10=few))
    with Grading(ROOT / "solution", asked, isolation="none") as grading:
        outcome = grading.outcome("clean_label.outcome.cifar10_turned")
    if outcome.reason is Reason.RESOURCE_ABSENT:
        pytest.skip(outcome.got)
    assert outcome.status is Status.PASSED, outcome


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('epsilon = "76/255"', "epsilon = 0.3", "whole number of grey levels"),
        ("images = 600,", "images = 601,", "multiple of 10"),
        ("turned = 8", "turned = 11", "turned must be between 1 and its targets"),
        ("poisons = 10", "poisons = 0", "poisons must be positive"),
        ("judged = 10000", "judged = 10001", "judged must be at most 10000"),
        ("beta = 0.1", "beta = -0.1", "beta must not be negative"),
    ],
)
def test_a_fault_in_the_spec_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    from grader.settings import PUBLIC_SPEC
    from grader.spec import SpecError

    text = PUBLIC_SPEC.read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "spec.toml").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(SpecError, match=said):
        load_spec(tmp_path / "spec.toml")
