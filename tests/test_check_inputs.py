"""Random inputs of checks tell the usual mistakes from what is right, whichever are drawn."""

import numpy as np
import torch

from grader.parts.clean_label import _forward_problem
from grader.parts.clean_label_loop import HELD_MISSES, LoopProblem, draw_loops
from grader.parts.clean_label_replay import ITERATIONS
from grader.parts.fine_pruning import _layer, _order
from solution.clean_label import craft_poisons


def test_no_usual_mistake_ranks_the_neurons_of_a_layer_rightly() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        incoming, activations = _layer(rng)
        weights, means = np.abs(incoming).sum(1), activations.mean(0)
        for right, mistakes in (
            (-weights, (weights, -incoming.sum(1), -np.linalg.norm(incoming, axis=1), means)),
            (means, (-means, activations.max(0), (activations > 0).mean(0), -weights)),
        ):
            order = _order(right)
            assert not np.array_equal(order, _order(order)), "ranks pass for numbers"
            assert not any(np.array_equal(order, _order(mistake)) for mistake in mistakes)
            assert np.diff(right[order]).min() > 0.1, "rounding, or the order of ties, decides"


def test_a_budget_that_is_held_only_at_the_end_misses_more_than_is_allowed() -> None:
    rng = np.random.default_rng(0)
    for epsilon, low, high in ((0.06, 0.35, 0.65), (0.03, 0.0, 1.0)):
        for _ in range(60):
            problem = LoopProblem.draw(rng, reach=0.5, low=low, high=high)
            free = problem.extractor.best_poisons(problem.bases, problem.targets, 0.05, None)
            limited = np.clip(free, problem.bases - epsilon, problem.bases + epsilon)
            assert problem.missing(limited, 0.05, epsilon) > 2 * HELD_MISSES


def test_a_forward_step_that_clips_is_never_right() -> None:
    rng = np.random.default_rng(0)
    for count in (1,) * 300 + (5,) * 20:
        extractor, x, targets, step = _forward_problem(rng, count)
        moved = x - step * extractor.gradient(x, targets)
        assert np.abs(moved - moved.clip(0, 1)).max() > 0.01


def test_the_loops_decisions_are_the_same_in_float32() -> None:
    """Otherwise a right loop could part from the grader's own at a decision that rounding makes."""
    for seed in range(8):
        for loop in draw_loops(np.random.default_rng(seed)):
            weight, bias = torch.from_numpy(loop.extractor.weight), torch.from_numpy(loop.extractor.bias)

            def features(
                x: torch.Tensor, weight: torch.Tensor = weight, bias: torch.Tensor = bias
            ) -> torch.Tensor:
                return x.flatten(1) @ weight.T + bias

            bases, targets = torch.from_numpy(loop.bases), torch.from_numpy(loop.targets)
            found = craft_poisons(features, bases, targets, loop.step, loop.beta, ITERATIONS, None)
            assert np.abs(found.numpy() - loop.poisons()[0]).max() < 1e-5
