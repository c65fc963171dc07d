"""Many last layers at once against one at a time, by other means."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from grader.lab.last_layer import (
    Poisons,
    extract,
    logits,
    sgd_poisoned,
    solve,
    solve_poisoned,
)
from grader.lab.models import ResNet18

DECAY = 1e-3


@pytest.fixture(scope="module")
def samples() -> tuple[Tensor, Tensor, Poisons]:
    """400 samples of 4 overlapping classes with 12 features, and 3 sets of 5 poisons whose labels are wrong."""
    generator = torch.Generator().manual_seed(3)
    centres = torch.randn(4, 12, generator=generator)
    y = torch.randint(0, 4, (400,), generator=generator)
    features = (centres[y] + torch.randn(400, 12, generator=generator)).relu()
    poisons = centres[torch.tensor([[0] * 5, [1] * 5, [2] * 5])]
    poisons = (poisons + torch.randn(3, 5, 12, generator=generator)).relu()
    return features, y, Poisons(poisons, torch.tensor([[1] * 5, [2] * 5, [3] * 5]))


def whole_set(samples: tuple[Tensor, Tensor, Poisons], number: int) -> tuple[Tensor, Tensor]:
    """One of the sets, written out."""
    features, y, poisons = samples
    kept = torch.ones(len(y), dtype=torch.bool)
    if poisons.replaced is not None:
        kept[poisons.replaced[number]] = False
    return (
        torch.cat([features[kept], poisons.features[number]]),
        torch.cat([y[kept], poisons.labels[number]]),
    )


def gradient(weights: Tensor, features: Tensor, y: Tensor) -> Tensor:
    """The objective's gradient in float64, by autograd."""
    weights = weights.double().requires_grad_()
    loss = F.cross_entropy(logits(weights, features.double()), y)
    (loss + DECAY / 2 * weights[:, :-1].square().sum()).backward()
    assert weights.grad is not None
    return weights.grad


def test_the_answer_is_a_stationary_point(samples) -> None:
    features, y, _ = samples
    weights = solve(features, y, num_classes=4, weight_decay=DECAY)
    assert float(gradient(weights, features, y).abs().max()) < 1e-4
    assert float((logits(weights, features).argmax(1) == y).float().mean()) > 0.6


@pytest.mark.parametrize("replaced", [None, torch.tensor([[0, 1, 2], [7, 399, 8], [20, 30, 40]])])
def test_many_sets_at_once_give_what_each_gives_alone(samples, replaced) -> None:
    features, y, poisons = samples
    poisons = Poisons(poisons.features, poisons.labels, replaced)
    seen: list[float] = []
    found = solve_poisoned(
        features, y, poisons, num_classes=4, weight_decay=DECAY, tolerance=1e-9,
        progress=lambda done, total, left: seen.append(left),
    )  # fmt: skip
    for number in range(3):
        written_out = whole_set((features, y, poisons), number)
        assert float(gradient(found[number], *written_out).abs().max()) < 1e-4
        alone = solve(*written_out, num_classes=4, weight_decay=DECAY)
        difference = logits(found[number], features).softmax(1) - logits(alone, features).softmax(1)
        assert float(difference.abs().max()) < 5e-4
    assert seen[-1] < seen[0]


def test_poisons_turn_what_lies_where_they_lie(samples) -> None:
    features, y, _ = samples
    target = features[y == 0][:1]
    many = Poisons(target.repeat(1, 40, 1), torch.ones(1, 40, dtype=torch.int64))
    clean = solve(features, y, num_classes=4, weight_decay=DECAY)
    turned = solve_poisoned(features, y, many, start=clean, num_classes=4, weight_decay=DECAY)
    assert int(logits(turned, target)[0].argmax()) == 1


@pytest.mark.parametrize("replaced", [None, torch.arange(15).view(3, 5)])
def test_sgd_is_pytorchs(samples, replaced) -> None:
    features, y, poisons = samples
    poisons = Poisons(poisons.features, poisons.labels, replaced)
    found = sgd_poisoned(
        features, y, poisons, torch.Generator().manual_seed(5),
        num_classes=4, epochs=3, batch_size=50, learning_rate=0.05,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(5)
    weights = ((2 * torch.rand(4, 13, generator=generator) - 1) / 12**0.5).requires_grad_()
    optimizer = torch.optim.SGD([weights], lr=0.05, momentum=0.9)
    if replaced is None:
        set_of_1 = torch.cat([features, poisons.features[1]]), torch.cat([y, poisons.labels[1]])
    else:
        set_of_1 = features.clone(), y.clone()
        set_of_1[0][replaced[1]], set_of_1[1][replaced[1]] = poisons.features[1], poisons.labels[1]
    for _ in range(3):
        for index in torch.randperm(len(set_of_1[1]), generator=generator).split(50):
            optimizer.zero_grad()
            F.cross_entropy(logits(weights, set_of_1[0][index]), set_of_1[1][index]).backward()
            optimizer.step()
    torch.testing.assert_close(found[1], weights.detach(), rtol=1e-3, atol=1e-4)


def test_features_are_those_of_eval_mode() -> None:
    model = ResNet18(width=2)
    x = torch.randint(0, 256, (7, 3, 8, 8), dtype=torch.uint8)
    with pytest.raises(ValueError, match="eval mode"):
        extract(model, x)
    with torch.no_grad():
        expected = model.eval().features(x / 255)
    torch.testing.assert_close(extract(model, x, batch_size=3), expected)


@pytest.mark.parametrize(
    ("labels", "replaced", "message"),
    [
        (torch.zeros(3, 4, dtype=torch.int64), None, "need int64 labels"),
        (torch.zeros(3, 5), None, "need int64 labels"),
        (torch.zeros(3, 5, dtype=torch.int64), torch.zeros(2, 5, dtype=torch.int64), "one row"),
    ],
)
def test_poisons_that_do_not_fit_are_refused(labels, replaced, message) -> None:
    with pytest.raises(ValueError, match=message):
        Poisons(torch.zeros(3, 5, 12), labels, replaced)


def test_other_misfits_are_refused(samples) -> None:
    features, y, poisons = samples
    with pytest.raises(ValueError, match="12 features, the others 11"):
        solve_poisoned(features[:, :11], y, poisons, num_classes=4)
    fewer = Poisons(poisons.features, poisons.labels, torch.zeros(3, 2, dtype=torch.int64))
    with pytest.raises(ValueError, match="replaces one sample"):
        sgd_poisoned(features, y, fewer, torch.Generator())
