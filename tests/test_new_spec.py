"""The writer of hidden specs: everything drawn anew, thresholds with their margin, and nothing half-written."""

import os
import statistics
from pathlib import Path

import pytest

from grader.settings import PUBLIC_SPEC
from grader.spec import Spec, load_spec
from solution import clean_label_seeds, new_spec, repair_seeds, seeds
from tests.batch.helpers import ROOT

SEEDS = 6


def row(seed: int, acc: float = 0.987, asr: float = 0.999) -> seeds.Row:
    spread = (seed % 3 - 1) / 1000
    return {
        "seed": float(seed), "acc": acc + spread, "asr": asr + spread / 4, "untriggered_rate": 0.003,
        "audited_steps": 13.0, "largest_audit_error": 0.02, "training_seconds": 9.0,
    }  # fmt: skip


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Invents the measurements; the seeds that were asked for."""
    asked: list[int] = []

    def measure(spec: Spec, seed: int) -> seeds.Row:
        asked.append(seed)
        return row(seed)

    monkeypatch.setattr(new_spec, "measure", measure)
    monkeypatch.setattr(clean_label_seeds, "measure", lambda spec, seed: clean_label_row(seed))
    monkeypatch.setattr(repair_seeds, "measure", lambda spec, seed: repair_row(seed))
    return asked


def clean_label_row(seed: int, turned: float = 10.0) -> seeds.Row:
    values = {"seed": float(seed), "turned": turned - (seed == 1), "targets": 10.0, "acc_drop": 0.002}
    return {name: values.get(name, 1.0) for name in clean_label_seeds.COLUMNS}


def repair_row(seed: int, **values: float) -> seeds.Row:
    usual = {"fine_pruning.asr": 0.004, "activation_clustering.f1": 0.99}
    spread = (seed % 3 - 1) / 1000
    found = dict.fromkeys(repair_seeds.COLUMNS, 0.001) | usual | values
    return {name: value + spread for name, value in found.items()} | {"seed": float(seed)}


def run(out: Path, *more: str) -> int:
    return new_spec.main(["--out", str(out), "--seeds", str(SEEDS), *more])


def test_everything_that_a_student_could_know_is_drawn_anew(tmp_path, measured) -> None:
    public = load_spec()
    found = []
    for number in range(4):
        assert run(tmp_path / f"{number}.toml") == 0
        found.append(load_spec(tmp_path / f"{number}.toml"))
    for spec in found:
        part = spec.invisible_trigger
        assert spec.hidden
        assert spec.rationale_only == ("*",)
        assert part.target != public.invisible_trigger.target
        assert part.epsilon != public.invisible_trigger.epsilon
        assert min(spec.seed, part.clean_seed, part.split_seed) > 1000  # not to be guessed
        assert part.attack == public.invisible_trigger.attack
        assert spec.limits == public.limits
    everything = [(s.seed, s.invisible_trigger.clean_seed, s.invisible_trigger.split_seed) for s in found]
    assert len({seed for seeds_ in everything for seed in seeds_}) == 12


def test_thresholds_leave_four_standard_deviations(tmp_path, measured) -> None:
    assert run(tmp_path / "h.toml") == 0
    rows = [row(seed) for seed in range(1, SEEDS + 1)]
    limits = load_spec(tmp_path / "h.toml").invisible_trigger.thresholds
    for name, limit in (("acc", limits.acc), ("asr", limits.asr)):
        values = [r[name] for r in rows]
        highest = statistics.mean(values) - 4 * statistics.stdev(values)
        assert highest - 1e-4 < limit <= highest
    text = (tmp_path / "h.toml").read_text(encoding="utf-8")
    assert f"{SEEDS} seeds, mean" in text
    assert "public" not in text.split("schema", 1)[1]  # nothing of the public one's figures is left


def test_options_fix_what_is_drawn(tmp_path, measured) -> None:
    assert run(tmp_path / "h.toml", "--target", "4", "--epsilon", "6/255", "--name", "quiz-2") == 0
    spec = load_spec(tmp_path / "h.toml")
    assert (spec.invisible_trigger.target, spec.invisible_trigger.epsilon, spec.name) == (
        4,
        6 / 255,
        "quiz-2",
    )


def test_stopped_it_goes_on_and_leaves_nothing_half_written(tmp_path, measured, monkeypatch, capsys) -> None:
    invented = new_spec.measure  # type: ignore[attr-defined]

    def stops(spec: Spec, seed: int) -> seeds.Row:
        if seed == 4:
            raise KeyboardInterrupt
        return invented(spec, seed)

    monkeypatch.setattr(new_spec, "measure", stops)
    assert run(tmp_path / "h.toml") == 130
    assert "stopped; the same command goes on" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["h.toml.draft"]
    drawn = load_spec(tmp_path / "h.toml.draft" / "spec.toml")
    with pytest.raises(SystemExit):  # not silently a spec of the old name
        run(tmp_path / "h.toml", "--name", "another")
    assert "another name: go on with the same options" in capsys.readouterr().err
    monkeypatch.setattr(new_spec, "measure", invented)
    assert run(tmp_path / "h.toml") == 0
    assert measured == [1, 2, 3, 4, 5, 6]
    assert [p.name for p in tmp_path.iterdir()] == ["h.toml"]
    assert load_spec(tmp_path / "h.toml").seed == drawn.seed
    assert os.stat(tmp_path / "h.toml").st_mode & 0o077 == 0


def test_a_goal_that_the_solution_misses_is_no_spec(tmp_path, measured, monkeypatch, capsys) -> None:
    monkeypatch.setattr(new_spec, "measure", lambda spec, seed: row(seed, asr=0.7))
    assert run(tmp_path / "h.toml") == 3
    assert "does not reach its goal" in capsys.readouterr().err
    assert not (tmp_path / "h.toml").exists()


def test_a_goal_of_part_2_that_the_solution_misses_is_no_spec(
    tmp_path, measured, monkeypatch, capsys
) -> None:
    monkeypatch.setattr(clean_label_seeds, "measure", lambda spec, seed: clean_label_row(seed, turned=9.0))
    assert run(tmp_path / "h.toml") == 3
    assert "part 2's goal" in capsys.readouterr().err
    assert not (tmp_path / "h.toml").exists()


def test_goals_of_part_3_stay_where_they_leave_the_margin_and_are_eased_where_not(
    tmp_path, measured, monkeypatch
) -> None:
    public = load_spec()
    assert run(tmp_path / "a.toml") == 0
    same = load_spec(tmp_path / "a.toml")
    assert same.fine_pruning.thresholds == public.fine_pruning.thresholds
    assert same.activation_clustering.thresholds == public.activation_clustering.thresholds
    worse = {"fine_pruning.asr": 0.08, "activation_clustering.f1": 0.85}
    monkeypatch.setattr(repair_seeds, "measure", lambda spec, seed: repair_row(seed, **worse))
    assert run(tmp_path / "b.toml") == 0
    eased = load_spec(tmp_path / "b.toml")
    four = 4 * statistics.stdev(repair_row(seed)["fine_pruning.asr"] for seed in range(1, SEEDS + 1))
    assert 0 <= eased.fine_pruning.thresholds.asr - (0.08 + four) <= 1e-3
    assert 0 <= (0.85 - four) - eased.activation_clustering.thresholds.f1 <= 1e-3
    assert eased.fine_pruning.thresholds.acc_drop == public.fine_pruning.thresholds.acc_drop
    text = (tmp_path / "b.toml").read_text(encoding="utf-8")
    assert text.count(f"# fine_pruning.asr: {SEEDS} seeds, mean 0.08") == 1


def test_victims_that_the_solution_cannot_repair_are_no_spec(tmp_path, measured, monkeypatch, capsys) -> None:
    bad = {"activation_clustering.f1": 0.5}
    monkeypatch.setattr(repair_seeds, "measure", lambda spec, seed: repair_row(seed, **bad))
    assert run(tmp_path / "h.toml") == 3
    assert "part 3's goal" in capsys.readouterr().err
    assert not (tmp_path / "h.toml").exists()
    assert measured == []  # and nothing was measured in vain


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--out", str(ROOT / "hidden.toml")], "lies in the repository"),
        (["--out", str(PUBLIC_SPEC)], "lies in the repository"),
        (["--out", "EXISTS"], "exists already"),
        (["--out", "NEW", "--seeds", "1"], "at least 2 seeds"),
        (["--out", "NEW", "--name", 'x"\n'], "--name is made of"),
        (["--out", "NEW", "--epsilon", "eight"], "eight"),
        (["--out", "NEW", "--epsilon", "300/255"], "epsilon must be in"),
        (["--out", "NEW", "--base", "absent.toml"], "absent.toml"),
    ],
)
def test_bad_usage_is_said(words, said, tmp_path, measured, capsys) -> None:
    (tmp_path / "EXISTS").touch()
    words = [str(tmp_path / word) if word.isupper() else word for word in words]
    with pytest.raises(SystemExit) as caught:
        new_spec.main(words)
    assert caught.value.code == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert measured == []
    assert [path.name for path in tmp_path.iterdir()] == ["EXISTS"], "a draft would block the correction"


def test_the_solution_is_measured_with_its_numbers(tmp_path, monkeypatch) -> None:
    """A hidden spec's report leaves them out."""
    from tests.batch.helpers import small_spec

    spec = load_spec(small_spec(tmp_path / "h.toml", hidden="true"))
    found = seeds.measure(spec, 5)
    assert set(found) == set(seeds.COLUMNS)


def test_the_public_goals_of_part_3_leave_the_margin_that_was_measured() -> None:
    code = repair_seeds.OUT.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
    rows = seeds.read_rows(repair_seeds.OUT, code)
    assert len(rows) >= 20
    for goal in repair_seeds.GOALS:
        assert goal.holds(goal.limit(rows), goal.asked(load_spec())), goal


def test_the_public_goals_of_part_1_leave_the_margin_that_was_measured() -> None:
    table = ROOT / "solution" / "measured" / "public_seeds.csv"
    code = table.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
    rows = seeds.read_rows(table, code)
    assert len(rows) >= 20
    asked, limits = load_spec().invisible_trigger.thresholds, new_spec.thresholds(rows)
    assert asked.acc <= limits["acc"]
    assert asked.asr <= limits["asr"]
    assert max(row["untriggered_rate"] for row in rows) <= asked.untriggered_rate / 2
    assert max(row["largest_audit_error"] for row in rows) <= 1, "a false alarm of the audit"


@pytest.mark.parametrize(
    ("table", "column", "name", "end"),
    [
        ("public_seeds", "acc", "ACC", min),
        ("public_seeds", "asr", "ASR", min),
        ("clean_label_seeds", "acc_drop", "ACC drop", max),
        ("repair_seeds", "fine_pruning.asr", "ASR", max),
        ("repair_seeds", "fine_pruning.acc_drop", "ACC drop", max),
        ("repair_seeds", "activation_clustering.asr", "ASR", max),
        ("repair_seeds", "activation_clustering.acc_drop", "ACC drop", max),
    ],
)
def test_the_public_spec_quotes_the_committed_tables(table, column, name, end) -> None:
    path = ROOT / "solution" / "measured" / f"{table}.csv"
    code = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
    values = [row[column] for row in seeds.read_rows(path, code)]
    told = " ".join(line.lstrip("# ") for line in PUBLIC_SPEC.read_text(encoding="utf-8").splitlines())
    mean, spread = statistics.mean(values), statistics.stdev(values)
    assert f"{name} mean {mean:.5f}, sd {spread:.5f}, {end.__name__} {end(values):.5f}" in told
