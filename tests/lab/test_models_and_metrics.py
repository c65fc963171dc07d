"""Models against plain references, metrics against numbers worked out by hand."""

import math

import pytest
import torch
import torch.nn.functional as F

from grader.lab import metrics
from grader.lab.models import LeNet5, LinearSoftmax, ResNet18, build_model, forward_only, initialise


def test_lenet5_has_the_classic_size_and_layers() -> None:
    model = LeNet5()
    assert sum(p.numel() for p in model.parameters()) == 61_706
    x = torch.rand(3, 1, 28, 28)
    features = model.features(x)
    assert features.shape == (3, 84)
    assert float(features.detach().min()) >= 0
    torch.testing.assert_close(model.classify(features), model(x))


def test_lenet5_is_the_textbook_network() -> None:
    model, x = LeNet5(), torch.rand(4, 1, 28, 28)
    h = (x - 0.1307) / 0.3081
    h = F.max_pool2d(F.relu(F.conv2d(h, model.conv1.weight, model.conv1.bias, padding=2)), 2)
    h = F.max_pool2d(F.relu(F.conv2d(h, model.conv2.weight, model.conv2.bias)), 2)
    h = F.relu(model.fc1(h.flatten(1)))
    torch.testing.assert_close(model(x), model.fc3(F.relu(model.fc2(h))), rtol=1e-4, atol=1e-5)


def test_a_model_for_forward_passes_gives_the_same_to_the_last_bit() -> None:
    model = LeNet5().eval()
    quicker = forward_only(model)
    x = torch.rand(20, 1, 28, 28)
    with torch.inference_mode():
        assert torch.equal(quicker(x), model(x))
    assert not quicker.training
    assert all(a is not b for a, b in zip(quicker.parameters(), model.parameters(), strict=True))


def test_resnet18_has_its_usual_size() -> None:
    model = ResNet18().eval()
    assert sum(p.numel() for p in model.parameters()) == 11_173_962
    x = torch.rand(2, 3, 32, 32)
    assert model.features(x).shape == (2, 512)
    torch.testing.assert_close(model.classify(model.features(x)), model(x))


def test_the_small_extractors_are_what_they_say() -> None:
    sizes = {"channels": 2, "height": 3, "width": 4, "dim": 5}
    x = torch.rand(6, 2, 3, 4).contiguous(memory_format=torch.channels_last)
    for name, outer in (("linear_features", lambda z: z), ("tanh_features", torch.tanh)):
        model = build_model(name, **sizes)
        expected = outer(x.reshape(6, 24) @ model.linear.weight.T + model.linear.bias)  # type: ignore[union-attr, operator]
        torch.testing.assert_close(model.features(x), expected)  # type: ignore[operator]
        torch.testing.assert_close(model(x), model.classify(model.features(x)))  # type: ignore[operator]


def test_initialisation_depends_on_the_generator_alone() -> None:
    a, b, c = LeNet5(), LeNet5(), LeNet5()
    initialise(a, torch.Generator().manual_seed(3))
    torch.rand(1)
    initialise(b, torch.Generator().manual_seed(3))
    initialise(c, torch.Generator().manual_seed(4))
    assert torch.equal(a.fc1.weight, b.fc1.weight)
    assert not torch.equal(a.fc1.weight, c.fc1.weight)
    assert float(a.fc1.weight.detach().abs().max()) <= 1 / math.sqrt(400)


def test_an_unknown_model_is_named_with_those_that_exist() -> None:
    assert isinstance(build_model("linear_softmax", height=5, width=5), LinearSoftmax)
    with pytest.raises(ValueError, match="lenet5, linear_features, linear_softmax, resnet18, tanh_features"):
        build_model("alexnet")


def test_asr_leaves_the_target_class_out() -> None:
    y = torch.tensor([0, 1, 2, 7, 7])
    predictions = torch.tensor([7, 7, 2, 7, 7])
    rate = metrics.attack_success_rate(predictions, y, target=7)
    assert (rate.hits, rate.total) == (2, 3)
    assert rate.value == pytest.approx(2 / 3)
    assert metrics.accuracy(predictions, y).value == pytest.approx(3 / 5)


def test_rates_that_are_none_are_refused() -> None:
    for hits, total in ((1, 0), (3, 2), (-1, 2)):
        with pytest.raises(ValueError, match="not a rate"):
            metrics.Rate(hits, total)
    with pytest.raises(ValueError, match="must both be"):
        metrics.accuracy(torch.zeros(3), torch.zeros(4))


def test_distances_on_images_worked_out_by_hand() -> None:
    a = torch.zeros(2, 1, 2, 2)
    b = a.clone()
    b[0, 0, 0, 0] = 0.5
    b[1] += 0.1
    torch.testing.assert_close(metrics.linf(a, b), torch.tensor([0.5, 0.1]))
    torch.testing.assert_close(metrics.l2(a, b), torch.tensor([0.5, 0.2]))
    torch.testing.assert_close(metrics.psnr(a, b), torch.tensor([-10 * math.log10(0.0625), 20.0]))
    assert math.isinf(float(metrics.psnr(a, a)[0]))


def test_ssim_is_one_for_equal_images_and_falls_with_noise() -> None:
    a = torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    noise = torch.rand(a.shape, generator=torch.Generator().manual_seed(1)) - 0.5
    assert metrics.ssim(a, a).tolist() == pytest.approx([1.0, 1.0])
    assert bool((metrics.ssim(a, a + 0.1 * noise) > metrics.ssim(a, a + 0.5 * noise)).all())


def test_eight_bits_keep_no_less_than_a_grey_level() -> None:
    x = torch.tensor([-1.0, 0.4 / 255, 0.6 / 255, 1.0, 2.0])
    torch.testing.assert_close(metrics.to_8bit(x) * 255, torch.tensor([0.0, 0.0, 1.0, 255.0, 255.0]))


def test_predicting_leaves_the_model_in_its_mode() -> None:
    model = LeNet5().train()
    assert metrics.predict(model, torch.rand(5, 1, 28, 28), batch_size=2).shape == (5,)
    assert model.training
