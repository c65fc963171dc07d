"""The training loops: reproducible, judged on held-out images only, and the same on CPU and GPU."""

from pathlib import Path

import pytest
import torch

import solution.invisible_trigger as reference
from grader.lab import plots
from grader.lab.data import DATA_DIR, load_mnist
from grader.lab.metrics import accuracy, predict
from grader.lab.models import LeNet5
from grader.lab.training import (
    AttackSettings,
    CleanSettings,
    History,
    LocalStepper,
    clean_file_name,
    clean_start,
    held_out_snapshot,
    hold_out,
    train_backdoor,
    train_clean,
)
from grader.spec import load_spec

EPSILON, TARGET = 8 / 255, 7
SHORT = AttackSettings(steps=12, batch_size=32)


def attack(device: str = "cpu") -> tuple[LeNet5, torch.Tensor, History]:
    train, held_out = hold_out(load_mnist("train"))
    model = clean_start(CleanSettings(), 1, train).to(device)
    stepper = LocalStepper(
        reference, shape=(1, 28, 28), target=TARGET, epsilon=EPSILON,
        learning_rate=SHORT.delta_learning_rate, device=device,
    )  # fmt: skip
    history = train_backdoor(
        model, stepper, train.to(device), SHORT, torch.Generator().manual_seed(5),
        snapshot=held_out_snapshot(held_out.subset(slice(0, 200)).to(device), TARGET),
    )  # fmt: skip
    return model, stepper.delta, history


def test_the_public_clean_start_is_committed_and_good() -> None:
    part = load_spec().invisible_trigger
    assert (DATA_DIR / clean_file_name(part.clean, part.clean_seed)).is_file()
    model = clean_start(part.clean, part.clean_seed, load_mnist("train"))
    test = load_mnist("test")
    assert accuracy(predict(model, test.x), test.y).value >= 0.985


def test_the_public_spec_trains_with_the_default_settings() -> None:
    part = load_spec().invisible_trigger
    assert part.attack == AttackSettings()
    assert part.clean == CleanSettings()


def test_the_same_seed_gives_the_same_attack() -> None:
    (a, delta_a, history), (b, delta_b, _) = attack(), attack()
    assert torch.equal(delta_a, delta_b)
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))
    assert float(delta_a.abs().max()) <= EPSILON + 1e-7
    assert len(history.losses) == SHORT.steps
    assert history.snapshots[-1].step == SHORT.steps
    assert all(0 <= s.acc <= 1 and 0 <= s.asr <= 1 for s in history.snapshots)


def test_a_clean_start_is_trained_once_and_a_damaged_one_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKDOOR_LAB_CACHE", str(tmp_path))
    train = load_mnist("train").subset(slice(0, 512))
    settings = CleanSettings(epochs=1, batch_size=128)
    first = clean_start(settings, 99, train)
    (cached,) = tmp_path.rglob("*.safetensors")
    assert cached.parent.stat().st_mode & 0o777 == 0o700, "its name has a seed, which may be a hidden one"
    written = cached.stat().st_mtime_ns
    assert torch.equal(clean_start(settings, 99, train).fc1.weight, first.fc1.weight)
    assert cached.stat().st_mtime_ns == written
    cached.write_bytes(b"damaged")
    with pytest.warns(UserWarning, match="training it again"):
        assert torch.equal(clean_start(settings, 99, train).fc1.weight, first.fc1.weight)
    assert len(list(tmp_path.iterdir())) == 1


def test_the_clean_start_has_another_file_for_another_split() -> None:
    names = {clean_file_name(CleanSettings(), 1, split_seed) for split_seed in (0, 1, 2)}
    assert len(names) == 3
    assert clean_file_name(CleanSettings(), 1) in names


def test_the_clean_start_depends_on_its_seed_and_settings() -> None:
    keys = {
        clean_file_name(CleanSettings(), 1),
        clean_file_name(CleanSettings(), 2),
        clean_file_name(CleanSettings(epochs=9), 1),
    }
    assert len(keys) == 3
    train = load_mnist("train").subset(slice(0, 256))
    settings = CleanSettings(epochs=1, batch_size=64)
    a, b, c = (train_clean(train, settings, seed) for seed in (1, 1, 2))
    assert torch.equal(a.fc1.weight, b.fc1.weight)
    assert not torch.equal(a.fc1.weight, c.fc1.weight)


def test_the_pictures_are_drawn_whole(tmp_path: Path) -> None:
    model, delta, history = attack()
    test = load_mnist("test").subset(slice(0, 10))
    triggered = (test.x + delta).clamp(0, 1)
    plots.plot_trigger(delta, EPSILON, tmp_path / "trigger.png")
    plots.plot_history(history, tmp_path / "history.png")
    plots.plot_triggered_samples(
        test.x, triggered, y=test.y, predictions=predict(model, test.x),
        triggered_predictions=predict(model, triggered), target=TARGET, path=tmp_path / "samples.png",
    )  # fmt: skip
    files = sorted(tmp_path.iterdir())
    assert [f.name for f in files] == ["history.png", "samples.png", "trigger.png"]
    assert all(f.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" and f.stat().st_size > 5000 for f in files)
    with pytest.raises(ValueError, match="must match"):
        plots.plot_triggered_samples(
            test.x, triggered[:3], y=test.y, predictions=test.y, triggered_predictions=test.y, target=0,
            path=tmp_path / "x.png",
        )  # fmt: skip


@pytest.mark.gpu
def test_the_attack_on_a_gpu_agrees_with_the_cpu() -> None:
    """Weights within 1 % after 12 steps, the trigger within a grey level: float32 sums in another order."""
    model, delta, _ = attack("cpu")
    other, other_delta, _ = attack("cuda")
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        assert float((p - q.cpu()).norm()) <= 0.01 * float(p.norm())
    assert float((delta - other_delta.cpu()).abs().mean()) <= 1 / 255
