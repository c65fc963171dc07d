"""``make validity`` and ``make ablation`` on a few items: what they print is what happened."""

import dataclasses
from pathlib import Path

import pytest

from grader.contract import INVISIBLE_TRIGGER, check, part
from grader.outcome import Outcome, Reason, Status
from tests.ablation import __main__ as ablation
from tests.corpus import Mutant, hostile, items, mutants
from tests.rows import Rows
from tests.validity import __main__ as validity

A_CHECK = "invisible_trigger.attack_success_rate.returns_share"


def test_rows_survive_a_kill_and_old_ones_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = Rows(path)
    rows.add({"key": "a", "n": 1})
    rows.add({"key": "b", "n": 2})
    with path.open("a") as file:
        file.write('{"key": "c", "n"')
    again = Rows(path)
    assert again.get("a") == {"key": "a", "n": 1}
    assert again.get("c") is None
    again.keep_only({"b"})
    assert Rows(path).get("a") is None
    assert Rows(path).get("b") == {"key": "b", "n": 2}


def outcomes(item: Mutant, *, lost: set[str]) -> list[Outcome]:
    checks: list[Outcome] = []
    fallen = set(lost)
    for c in part(item.part).checks:
        if c.id in lost:
            checks.append(Outcome(c.id, c.part, Status.FAILED, 0, c.points, finding=item.finding))
        elif fallen.intersection(c.requires):
            fallen.add(c.id)
            checks.append(Outcome(c.id, c.part, Status.SKIPPED, 0, c.points, Reason.DEPENDENCY_FAILED))
        else:
            checks.append(Outcome(c.id, c.part, Status.PASSED, c.points, c.points))
    return checks


def test_the_table_counts_what_was_caught_missed_and_blamed_wrongly() -> None:
    item = next(m for m in mutants() if m.caught_by == A_CHECK)
    other = "invisible_trigger.apply_trigger.adds_delta"
    rows = [
        validity.row_of(validity.Task(item, seed), outcomes(item, lost=lost), (), sandboxed=True)
        for seed, lost in ((1, {A_CHECK}), (2, set[str]()), (3, {other}))
    ]
    text = validity.table(rows)
    assert "sensitivity: a mutant loses points | 2 of 3 |" in text
    assert "the check that names the fault fails | 1 of 3 |" in text
    assert "as labelled: nothing else is lost, and the cause is named | 1 of 3 |" in text
    assert [row["trained"] for row in rows] == [True, True, False]
    assert f"mutants/{item.name}, seed 2" in text


def test_every_seed_is_another_spec() -> None:
    assert len({validity.settings(seed).spec for seed in range(1, 11)}) == 10


def test_only_what_chance_decides_is_graded_again() -> None:
    row = {"trained": True}
    assert all(validity.is_graded_again(item, row) for item in items("styles"))
    assert not any(validity.is_graded_again(item, row) for item in items("mutants"))
    assert {validity.is_graded_again(item, row) for item in hostile()} == {True, False}


def test_what_requires_a_removed_check_requires_what_that_required() -> None:
    acc = check("invisible_trigger.outcome.acc")
    asr = check("invisible_trigger.outcome.asr")
    assert ablation.requirements(acc, asr) == asr.requires
    assert ablation.requirements(asr, acc) == asr.requires


@pytest.mark.parametrize("part_", [INVISIBLE_TRIGGER], ids=lambda part_: part_.name)
def test_every_check_has_something_to_be_removed_against(part_) -> None:
    for check_ in part_.checks:
        assert ablation.candidates(check_) or ablation.gains(check_), check_.id


def test_without_its_check_a_mutant_is_not_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The unit checks alone, in place of a training."""
    units = dataclasses.replace(
        INVISIBLE_TRIGGER, checks=tuple(c for c in INVISIBLE_TRIGGER.checks if not c.is_outcome)
    )
    monkeypatch.setattr(ablation, "part", lambda name: units)
    item = next(m for m in mutants() if m.name == "rate_in_percent")
    without, with_other = (check(A_CHECK), check("invisible_trigger.apply_trigger.adds_delta"))
    assert ablation.run(without, item, "k")["full_marks"]
    row = ablation.run(with_other, item, "k")
    assert (row["caught_by"], row["named"]) == ([A_CHECK], True)
