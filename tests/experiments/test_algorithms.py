"""A submission's algorithms in the sandbox, for the lab: right answers come back, faults become one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from grader.experiments.algorithms import of_submission
from grader.experiments.common import ExperimentProblem
from grader.isolation import ROOT
from grader.settings import UsageProblem

SOLUTION = ROOT / "solution"


def test_fine_pruning_of_the_solution():
    generator = torch.Generator().manual_seed(1)
    w_in, b_in = torch.randn(7, 5, generator=generator), torch.randn(7, generator=generator)
    w_out, h = torch.randn(3, 7, generator=generator), torch.randn(20, 5, generator=generator)
    activations = (h @ w_in.T + b_in).relu()
    with of_submission("fine_pruning", SOLUTION) as algorithm:
        order = algorithm.rank_neurons(w_in, activations, "dormant")
        assert order.tolist() == sorted(range(7), key=lambda i: float(activations[:, i].mean()))
        w_in, b_in, w_out_left = algorithm.prune_and_compress(w_in, b_in, w_out, order[:2])
        kept = activations.clone()
        kept[:, order[:2]] = 0
        assert torch.allclose((h @ w_in.T + b_in).relu() @ w_out_left.T, kept @ w_out.T, atol=1e-5)
        with pytest.raises(ExperimentProblem, match=r"prune_and_compress of fine_pruning.py: .*ValueError"):
            algorithm.prune_and_compress(w_in, b_in, w_out_left, torch.arange(5))


def test_activation_clustering_of_the_solution_at_full_size():
    """A whole training set's activations travel, 20 MB, and the flags fit to the images."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(0, 10, (60_000,), generator=generator)
    features = torch.randn(60_000, 84, generator=generator) + 3 * torch.eye(10, 84)[labels]
    poisoned = (labels == 4) & (torch.rand(60_000, generator=generator) < 0.25)
    features[poisoned] += 1.5 * torch.randn(int(poisoned.sum()), 84, generator=generator)
    features[poisoned, 20] += 30
    with of_submission("activation_clustering", SOLUTION) as algorithm:
        flagged = algorithm.flag_poisoned(features, labels, 3)
        assert torch.equal(flagged, poisoned)
        scrambled = algorithm.scramble_labels(labels, flagged, 10, 3)
        assert torch.equal(scrambled != labels, flagged)
        assert set(algorithm.cluster_class(features[:100], 0).tolist()) == {0, 1}


def test_what_is_not_there_is_said(tmp_path: Path):
    with pytest.raises(UsageProblem, match="no algorithm"), of_submission("strip", SOLUTION):
        pass
    with pytest.raises(UsageProblem, match="nowhere"), of_submission("fine_pruning", tmp_path / "nowhere"):
        pass
    with pytest.raises(ExperimentProblem, match="not written yet"), of_submission("fine_pruning", tmp_path):
        pass


def test_nonsense_is_said(tmp_path: Path):
    text = (SOLUTION / "fine_pruning.py").read_text().replace(".argsort()", ".argsort().float()")
    (tmp_path / "fine_pruning.py").write_text(text)
    with (
        of_submission("fine_pruning", tmp_path) as algorithm,
        pytest.raises(ExperimentProblem, match=r"rank_neurons of fine_pruning.py: .*float32.*int64"),
    ):
        algorithm.rank_neurons(torch.ones(3, 2), torch.ones(4, 3), "dormant")
