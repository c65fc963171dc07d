"""``python -m grader lab clean-label`` and its curve, with a small network that was never trained: what is written,
what is made only once, and bad input."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from grader.__main__ import main
from grader.experiments import clean_label, clean_label_curve, victim
from grader.experiments.clean_label_curve import KEY, read_rows, table
from grader.experiments.common import ExperimentProblem
from grader.experiments.crafting import _blocks
from grader.isolation import ROOT
from grader.lab.data import DataError, Images
from grader.lab.extractor import freeze
from grader.lab.last_layer import extract
from grader.lab.models import ResNet18, initialise

SOLUTION = ["--submission", str(ROOT / "solution")]


def some_images(each: int, seed: int) -> Images:
    """Noise around one colour a class: easy to tell apart, yet of different images."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(10).repeat(each)
    corners = torch.cartesian_prod(*[torch.tensor([30.0, 225.0])] * 3)
    colours = torch.cat([corners, torch.tensor([[128.0, 128, 128], [225.0, 128, 30]])])
    x = colours[y].view(-1, 3, 1, 1) + torch.randn(len(y), 3, 16, 16, generator=generator) * 12
    return Images(x.clamp(0, 255).to(torch.uint8), y)


@pytest.fixture(scope="module")
def small_victim() -> victim.Victim:
    model = ResNet18(width=4)
    initialise(model, torch.Generator().manual_seed(1))
    train, test = some_images(8, 1), some_images(3, 2)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    model(train.as_float().x)  # BatchNorm's statistics
    freeze(model)
    train_features, test_features = extract(model, train.x), extract(model, test.x)
    means = torch.stack([train_features[train.y == label].mean(0) for label in range(10)])
    model.fc.weight.copy_(means)  # the nearest class mean
    model.fc.bias.copy_(-means.square().sum(1) / 2)
    return victim.Victim(model, "small", train, test, train_features, test_features, torch.device("cpu"))


@pytest.fixture
def small(small_victim: victim.Victim, monkeypatch: pytest.MonkeyPatch) -> victim.Victim:
    for module in (clean_label, clean_label_curve):
        monkeypatch.setattr(module, "load_victim", lambda _: small_victim)
    return small_victim


def test_an_attack_through_the_sandbox_is_written_down_whole(
    small: victim.Victim, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["lab", "clean-label", "--out", str(tmp_path), *SOLUTION, "--targets", "2", "--poisons", "2",
               "--images", "40", "--iterations", "3", "--fine-tuning", "sgd"]  # fmt: skip
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "of 2), 95 % interval" in said
    with (tmp_path / "targets.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows] == ["airplane", "automobile"]
    for row in rows:
        assert 1 <= int(row["linf"]) <= 8
        assert float(row["distance_after"]) < float(row["distance_before"])
        assert row["success"] in ("0", "1")
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 2
    assert (tmp_path / "targets.png").exists()
    (block,) = (tmp_path / "crafted" / "poisons-8-255").glob("*.safetensors")
    with safe_open(block, framework="pt") as file:
        assert file.get_tensor("poisons").dtype == torch.uint8
        assert file.get_tensor("poisons").shape == (2, 2, 3, 16, 16)
        kept = extract(small.model, file.get_tensor("poisons").flatten(0, 1))
        torch.testing.assert_close(file.get_tensor("features").flatten(0, 1), kept)

    written = block.stat().st_mtime_ns
    assert main(command) == 0
    assert block.stat().st_mtime_ns == written, "made once"
    assert main([*command, "--beta", "0.2"]) == 2
    assert "name another --out" in capsys.readouterr().err


def test_the_curve_measures_each_point_once_and_has_its_controls(
    small: victim.Victim, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["lab", "clean-label-curve", "--out", str(tmp_path), *SOLUTION, "--in-process", "--targets", "2",
               "--poisons", "1", "3", "--images", "20", "40", "--sgd", "20", "--iterations", "2"]  # fmt: skip
    assert main([*command, "--budgets", "8"]) == 0
    path = tmp_path / "clean_label_curve.csv"
    rows = read_rows(path)
    found = {tuple(row[name] for name in KEY[:5]) for row in rows}
    methods = [("20", "converged"), ("40", "converged"), ("20", "sgd")]
    expected = {("none", "-", "0", *m) for m in methods}
    expected |= {("poisons", "8/255", "1", *m) for m in methods}
    # three do not fit among two images of a class
    expected |= {(name, "8/255", "3", "40", "converged") for name in ("poisons", "watermark")}
    assert found == expected
    assert (tmp_path / "clean_label_curve.png").exists()
    first = path.read_bytes()
    assert main([*command, "--budgets", "8"]) == 0
    assert path.read_bytes() == first
    assert main([*command, "--budgets", "8", "beta"]) == 0
    assert read_rows(path)[: len(rows)] == rows
    assert "| watermark only, beta | 3 |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--target", "3", "--base", "3"], "already"),
        (["--target", "3"], "needs --base"),
        (["--target", "30", "--base", "1"], "0 to 29, not 30"),
        (["--poisons", "9"], "1 to 8 bases"),
        (["--poisons", "5", "--images", "40"], "5 poisons do not fit"),
        (["--images", "90"], "8 training images, fewer than the 9"),
        (["--images", "45"], "equally many"),
        (["--watermark", "0.3"], "--epsilon beta"),
        (["--step-size", "0"], "more than 0"),
        (["--device", "cuda"], "--in-process"),
        (["--submission", str(ROOT / "assignment")], "not written yet"),
        (["--submission", "nowhere"], "nowhere"),
    ],
)
def test_bad_input_is_said_in_one_line(
    small: victim.Victim, options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["lab", "clean-label", "--out", str(tmp_path / "out"), "--targets", "1", "--poisons", "2",
               "--images", "40", *options]  # fmt: skip
    assert main(command) == 2
    errors = capsys.readouterr().err.strip().splitlines()
    assert len(errors) == 1
    assert said in errors[0]
    assert not (tmp_path / "out").exists()


def test_missing_weights_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = str(tmp_path / "w.safetensors")
    assert main(["lab", "clean-label", "--out", str(tmp_path / "out"), "--weights", weights]) == 2
    assert "w.json: missing" in capsys.readouterr().err


def test_features_are_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKDOOR_LAB_CACHE", str(tmp_path))
    monkeypatch.setattr(victim, "CHUNK", 20)
    model, x = freeze(ResNet18(width=4)), some_images(3, 1).x
    done: list[int] = []

    def found(weights: str = "w") -> torch.Tensor:
        return victim.cached_features(
            model, weights, x, torch.device("cpu"), lambda now, _, __: done.append(now)
        )

    first = found()
    assert done == [20, 30]
    torch.testing.assert_close(first, extract(model, x))
    files = sorted((tmp_path / "features").iterdir())
    assert len(files) == 2
    files[0].write_bytes(b"damaged")
    assert torch.equal(found(), first)
    assert len(list((tmp_path / "features").iterdir())) == 2
    found("of another model")
    assert len(list((tmp_path / "features").iterdir())) == 4


def test_a_pool_is_as_many_training_images_of_every_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKDOOR_LAB_CACHE", str(tmp_path))
    monkeypatch.setattr("grader.lab.data.load_cifar10", lambda split, *_, **__: some_images(4, len(split)))
    monkeypatch.setattr("grader.lab.extractor.check_weights", lambda _: {"sha256": "w"})
    monkeypatch.setattr("grader.lab.extractor.load_resnet18", lambda _: freeze(ResNet18(width=4)))
    options = argparse.Namespace(device="cpu", weights=None, download=False, data_dir=None, pool=20, seed=1)
    found = victim.load_victim(options)
    assert found.train.y.bincount().tolist() == [2] * 10
    assert len(found.test) == 40
    torch.testing.assert_close(found.train_features, extract(found.model, found.train.x))
    options.pool = 50
    with pytest.raises(DataError, match="4 training images, fewer than the 5"):
        victim.load_victim(options)


def test_blocks_cover_every_target_and_rank_once() -> None:
    for targets, count in ((100, 25), (7, 1), (3, 12)):
        seen = torch.zeros(targets, count)
        for which, ranks in _blocks(targets, count):
            seen[which, ranks] += 1
            assert len(which) * (ranks.stop - ranks.start) <= 100
        assert bool((seen == 1).all())
    few, many = ({(r.start, tuple(w.tolist())) for w, r in _blocks(100, n)} for n in (5, 25))
    assert few < many, "the poisons of the shorter run are part of the longer one"


def test_a_damaged_block_is_named(
    small: victim.Victim, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "crafted" / "poisons-8-255" / "ranks-00-01-targets-000-000.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"damaged")
    command = ["lab", "clean-label", "--out", str(tmp_path), *SOLUTION, "--in-process", "--targets", "1",
               "--poisons", "1", "--images", "40"]  # fmt: skip
    assert main(command) == 2
    assert "remove it and these poisons are made again" in capsys.readouterr().err


def test_the_table_has_intervals(tmp_path: Path) -> None:
    row = dict.fromkeys(clean_label_curve.COLUMNS, "1") | {
        "attack": "poisons", "budget": "8/255", "poisons": "1", "images": "500", "fine_tuning": "converged",
        "targets": "100", "turned": "90", "psnr": "41.00", "distance_before": "4", "distance_after": "1",
    }  # fmt: skip
    control = row | {
        "attack": "none",
        "budget": "-",
        "poisons": "0",
        "images": "1000",
        "turned": "0",
        "psnr": "",
    }
    lines = table([row, control]).splitlines()
    assert lines[0] == "| | poisons | 500 | 1,000 | PSNR | feature distance |"
    assert lines[2] == "| 8/255 | 1 | 90 (83–94) |  | 41.00 dB | 4 → 1 |"
    assert lines[3] == "| no poison | 0 |  | 0 (0–4) |  |  |"
    (tmp_path / "t.csv").write_text("other,columns\n")
    with pytest.raises(ExperimentProblem, match="not a table of this command"):
        read_rows(tmp_path / "t.csv")


def test_the_readmes_part_says_what_the_table_says(tmp_path: Path) -> None:
    from solution.readme_clean_label import section

    def row(poisons: int, images: int, turned: int, method: str = "converged") -> dict[str, str]:
        values = {"attack": "poisons", "budget": "8/255", "poisons": poisons, "images": images, "turned": turned,
                  "fine_tuning": method, "targets": 100, "seed": 1, "acc_before": 0.93, "acc_after": 0.929,
                  "others_flipped": 12, "others": 3400, "psnr": 41.0, "ssim": 0.99, "pool": 50_000}  # fmt: skip
        return {name: str(values.get(name, 0)) for name in clean_label_curve.COLUMNS}

    path = tmp_path / "curve.csv"
    rows = [row(25, 2500, 93, "sgd"), row(1, 500, 92), row(1, 1000, 90), row(1, 2500, 89), row(1, 50_000, 3)]
    clean_label.write_table(path, rows)
    text = section(path)
    assert (
        "**93 of 100 (95 % interval 86 to 97)** targets turned, ACC 93.00% without poisons and 0.10 points"
        in text
    )
    assert "still turns 90 % of the targets: 8/255: 1,000 images." in text
    assert "turns 3 of 100 (8/255)" in text
    assert "5,000 images of their class" in text
