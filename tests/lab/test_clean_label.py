"""The clean-label experiment's choices and its judgement, on numbers small enough to check by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from grader.lab.clean_label import (
    Targets,
    as_file_holds_it,
    check_bases,
    choose_targets,
    fine_tuning_sample,
    judge,
    replaced_by,
    watermarked,
)
from grader.lab.data import DataError, Images
from grader.lab.metrics import Rate


def labels(each: int) -> Tensor:
    """Every class ``each`` times, mixed."""
    return torch.arange(10).repeat(each)


def a_target(*, y: int = 1, base: int = 0, index: int = 0, shape: tuple[int, ...] = (1, 1, 2, 2)) -> Targets:
    return Targets(torch.zeros(shape), torch.tensor([y]), torch.tensor([base]), torch.tensor([index]))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"y": 4, "base": 4, "index": 17}, "target 17 is of class 4 already"),
        ({"base": 10}, "a base class is 0 to 9, not 10"),
        ({"base": -1}, "a base class is 0 to 9"),
        ({"shape": (1, 2, 2)}, r"\(T, C, H, W\), not .*\(1, 2, 2\); one image is a batch of one"),
        ({"shape": (2, 1, 2, 2)}, "2 targets need as many"),
    ],
)
def test_targets_that_cannot_be_attacked_are_refused(change: dict[str, int], said: str) -> None:
    with pytest.raises(DataError, match=said):
        a_target(**change)  # type: ignore[arg-type]


def test_targets_are_classified_correctly_and_spread_over_the_classes() -> None:
    y = labels(6)
    predictions = y.clone()
    predictions[:30] += 1  # the first three of each class are mistaken
    images = Images(torch.rand(60, 1, 2, 2), y)
    found = choose_targets(images, predictions, 23, seed=1)
    assert found.y.bincount().tolist() == [3, 3, 3, 2, 2, 2, 2, 2, 2, 2]
    assert int(found.index.min()) >= 30
    assert len(found.index.unique()) == 23
    assert torch.equal(found.x, images.x[found.index])
    assert bool((found.base_class != found.y).all())
    again = choose_targets(images, predictions, 10, seed=1)
    shared = torch.isin(found.index, again.index)
    assert int(shared.sum()) == 10
    assert torch.equal(found.base_class[shared], again.base_class), "whoever else is attacked"
    with pytest.raises(DataError, match="class 0 has 3 test images"):
        choose_targets(images, predictions, 31, seed=1)


def test_a_smaller_sample_is_part_of_a_larger_one() -> None:
    y = labels(30)
    small, large = fine_tuning_sample(y, 50, 2), fine_tuning_sample(y, 200, 2)
    assert y[small].bincount().tolist() == [5] * 10
    assert y[large].bincount().tolist() == [20] * 10
    assert bool(torch.isin(small, large).all())
    assert not torch.equal(small, fine_tuning_sample(y, 50, 3))
    with pytest.raises(DataError, match="not 55"):
        fine_tuning_sample(y, 55, 2)
    with pytest.raises(DataError, match="class 0 has 30 training images, fewer than the 31"):
        fine_tuning_sample(y, 310, 2)


def test_poisons_stand_in_the_places_of_their_bases() -> None:
    y = labels(3)  # class 0 is at 0, 10 and 20
    sample = torch.tensor([0, 1, 2, 10, 11, 20, 21])
    bases = torch.tensor([[20, 10], [21, 11]])
    places = replaced_by(bases, sample, y, torch.tensor([0, 1]))
    assert sample[places].tolist() == [[10, 20], [11, 21]]
    elsewhere = replaced_by(torch.tensor([[20, 5]]), sample[:5], y, torch.tensor([0]))
    assert sample[elsewhere].tolist() == [[0, 10]], "others of the class where the bases are not in the set"
    with pytest.raises(DataError, match=r"3 poisons do not fit .* 2 images of class 0"):
        replaced_by(torch.tensor([[20, 10, 0]]), sample[:5], y, torch.tensor([0]))


def test_more_bases_than_a_class_has_are_refused() -> None:
    check_bases(3, labels(3))
    with pytest.raises(DataError, match=r"1 to 3 bases.*not 4"):
        check_bases(4, labels(3))


def test_a_watermark_stays_within_its_budget() -> None:
    bases, target = torch.tensor([[[[0.0, 0.5]]]]), torch.tensor([[[[1.0, 0.5]]]])
    assert watermarked(bases, target, 0.3, None).flatten().tolist() == pytest.approx([0.3, 0.5])
    assert watermarked(bases, target, 0.3, 0.1).flatten().tolist() == pytest.approx([0.1, 0.5])


def test_poisons_are_kept_as_grey_levels() -> None:
    assert as_file_holds_it(torch.tensor([0.0, 0.4999 / 255, 1.0, 1.2, -0.1])).tolist() == [0, 0, 255, 255, 0]


def test_the_judgement_counts_others_of_the_class_too() -> None:
    features = torch.tensor([[1.0], [2.0], [3.0], [-1.0], [4.0]])
    y = torch.tensor([1, 1, 1, 0, 0])
    clean = torch.tensor([[0.0, 0.0], [1.0, 0.0]])  # says 1 where the feature is positive
    shifted = torch.tensor([[0.0, 0.0], [1.0, -2.5]])  # only from 2.5 on
    found = judge(clean, torch.stack([clean, shifted]), features, y, two_targets())
    assert found.success.tolist() == [False, True]
    assert found.acc_before == Rate(4, 5)
    assert found.acc_after.tolist() == pytest.approx([0.8, 0.4])
    assert found.others.tolist() == [2, 2]
    assert found.others_flipped.tolist() == [0, 1], "not the target itself, nor who stays right"
    assert found.before[0].tolist() == pytest.approx(torch.tensor([0.0, 1.0]).softmax(0).tolist())
    assert found.after[1].tolist() == pytest.approx(torch.tensor([0.0, -1.5]).softmax(0).tolist())


def two_targets() -> Targets:
    return Targets(torch.zeros(2, 1, 2, 2), torch.tensor([1, 1]), torch.tensor([0, 0]), torch.tensor([0, 0]))


def test_wilsons_interval_is_scipys() -> None:
    from scipy.stats import binomtest

    for hits, total in ((0, 100), (90, 100), (100, 100), (1, 3)):
        expected = binomtest(hits, total).proportion_ci(method="wilson")
        assert Rate(hits, total).interval == pytest.approx((expected.low, expected.high), abs=1e-6)
