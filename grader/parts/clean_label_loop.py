"""Part 2's unit checks of the loop, ``craft_poisons``: judged by where the poisons are.

On a linear extractor the objective is a bounded least-squares problem, whose minimum is known; how far the poisons came
is the share of the way from the base's objective to that minimum. Which steps are accepted is asked after a few
iterations, beside a loop of the grader's (``clean_label_replay.py``). Whether images are independent is asked of a
tanh, where a step that suits one image is too long for another, and of a small ResNet, which has BatchNorm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from grader.calls import FeaturesArgument, Finding, TensorArgument
from grader.lab.models import ResNet18, initialise
from grader.parts.clean_label import CHECKS as STEP_CHECKS
from grader.parts.clean_label import Values, _check, _require_untouched, pulled
from grader.parts.clean_label_replay import ITERATIONS, MISTAKES, Loop, telling_loops
from grader.parts.run import CheckFunction, PartRun, close, require_close
from grader.parts.small_extractor import SmallExtractor

ROUNDING = 1e-5
"""Of float32 images and epsilon, in pixel units."""
HELD_MISSES = 0.01
"""Share of the way to the best within the budget that may be missing. Projected steps leave some 1e-5 of it; a loop
that limits its poison only at the end misses more than 2 % in every problem that
``tests/test_check_inputs.py`` draws."""


@dataclass(frozen=True)
class LoopProblem:
    """Bases, their targets' features, and a linear extractor with its safe step."""

    extractor: SmallExtractor
    bases: np.ndarray
    targets: np.ndarray

    @classmethod
    def draw(
        cls, rng: np.random.Generator, *, reach: float, low: float = 0.35, high: float = 0.65
    ) -> LoopProblem:
        """Bases with pixels from low to high, and targets that are images about ``reach`` away in every pixel."""
        extractor = SmallExtractor.draw(rng, tanh=False)
        bases = rng.uniform(low, high, (4, *extractor.shape)).astype(np.float32)
        wanted = bases + reach * rng.choice([-1.0, 1.0], bases.shape)
        return cls(extractor, bases, extractor.features(wanted).astype(np.float32))

    def craft(
        self, run: PartRun, step: float, beta: float, iterations: int, epsilon: float | None
    ) -> np.ndarray:
        done = run.student.call(
            "craft_poisons", self.extractor.argument, TensorArgument(self.bases), TensorArgument(self.targets),
            step, beta, iterations, epsilon,
        )  # fmt: skip
        return done.tensor(self.bases.shape)

    def objective(self, x: np.ndarray, beta: float) -> np.ndarray:
        return self.extractor.objective(x, self.bases, self.targets, beta)

    def missing(self, x: np.ndarray, beta: float, epsilon: float | None) -> float:
        """What is left of the way from the bases' objective to the least there is, at the worst image: 0 is there."""
        least = self.objective(self.extractor.best_poisons(self.bases, self.targets, beta, epsilon), beta)
        start = self.objective(self.bases, beta)
        return float(((self.objective(x, beta) - least) / (start - least)).max())


@_check
def craft_poisons__converges(run: PartRun, rng: np.random.Generator) -> Values:
    for beta in (0.5, 0.0):
        problem = LoopProblem.draw(rng, reach=0.1)
        found = problem.craft(run, 0.9 * problem.extractor.safe_step, beta, 200, None)
        missing = problem.missing(found, beta, None)
        if missing <= 0.01:
            continue
        if close(found, problem.bases):
            raise Finding("not_moved")
        if beta > 0 and problem.missing(found, 0.0, None) <= 0.02:
            raise Finding("beta_ignored")
        if missing > 1:
            raise Finding("rose", beta=beta)
        raise Finding("stopped_early", share=1 - missing, beta=beta)
    return None


@_check
def craft_poisons__undoes_rejected_steps(run: PartRun, rng: np.random.Generator) -> Values:
    beta = 0.05
    problem, step = _step_too_long(rng, beta)
    found = problem.craft(run, step, beta, 1, None)
    if not np.abs(found - problem.bases).max() <= ROUNDING:
        raise Finding("kept_rejected", change=float(np.abs(found - problem.bases).max()))
    found = problem.craft(run, step, beta, 120, None)
    missing = problem.missing(found, beta, None)
    if not missing <= 1 + 1e-4:
        raise Finding("rose")
    if close(found, problem.bases):
        raise Finding("never_shortened")
    if not missing <= 0.02:
        raise Finding("stopped_early", share=1 - missing)
    _check_decisions(run, rng)
    return None


def _check_decisions(run: PartRun, rng: np.random.Generator) -> None:
    """A loop can come near the best poisons though it accepts, or halves, what it should not."""
    for loop in draw_loops(rng):
        problem = LoopProblem(loop.extractor, loop.bases, loop.targets)
        found = problem.craft(run, loop.step, loop.beta, ITERATIONS, None)
        wrong = {key: loop.poisons(rule)[0] for key, rule in MISTAKES.items()}
        require_close(found, loop.poisons()[0], wrong, iterations=ITERATIONS)


def draw_loops(rng: np.random.Generator) -> list[Loop]:
    """Fresh ones for ``_check_decisions``, with steps of which some suit and some are too long."""

    def draw() -> Loop:
        problem = LoopProblem.draw(rng, reach=0.05)
        step = rng.uniform(3, 20) * problem.extractor.safe_step
        return Loop(problem.extractor, problem.bases, problem.targets, step, beta=0.3)

    return telling_loops(draw)


def _step_too_long(rng: np.random.Generator, beta: float) -> tuple[LoopProblem, float]:
    """A problem and a step size with which the first step makes every image's objective clearly worse."""
    while True:
        problem = LoopProblem.draw(rng, reach=0.1)
        step = 60 * problem.extractor.safe_step
        forward = problem.bases - step * problem.extractor.gradient(problem.bases, problem.targets)
        candidate = np.clip(pulled(forward, problem.bases, step * beta), 0, 1)
        if bool((problem.objective(candidate, beta) > 1.5 * problem.objective(problem.bases, beta)).all()):
            return problem, step


@_check
def craft_poisons__each_image_alone(run: PartRun, rng: np.random.Generator) -> Values:
    for argument, bases, targets, step in (_tanh_batch(rng), _resnet_batch(rng)):

        def craft(which: slice, argument: FeaturesArgument = argument, bases: np.ndarray = bases,
                  targets: np.ndarray = targets, step: float = step) -> np.ndarray:  # fmt: skip
            done = run.student.call(
                "craft_poisons", argument, TensorArgument(bases[which]), TensorArgument(targets[which]),
                step, 0.2, 6, None,
            )  # fmt: skip
            return done.tensor(bases[which].shape)

        together = craft(slice(None))
        alone = np.concatenate([craft(slice(i, i + 1)) for i in range(len(bases))])
        difference = np.abs(together - alone).reshape(len(bases), -1).max(axis=1)
        if not bool((difference <= 1e-3).all()):
            raise Finding("shared", images=int((~(difference <= 1e-3)).sum()), total=len(bases))
    return None


def _tanh_batch(rng: np.random.Generator) -> tuple[FeaturesArgument, np.ndarray, np.ndarray, float]:
    """Images of which the first step suits some and is too long for others, clearly; and that step."""
    while True:
        extractor = SmallExtractor.draw(rng, tanh=True, scale=3.0)
        bases = rng.uniform(0.2, 0.8, (4, *extractor.shape)).astype(np.float32)
        targets = rng.uniform(-0.9, 0.9, (4, len(extractor.bias))).astype(np.float32)
        start = extractor.distance(bases, targets)
        gradient = extractor.gradient(bases, targets)
        for step in np.geomspace(0.02, 2, 30):
            after = extractor.distance(np.clip(bases - step * gradient, 0, 1), targets) / start
            better, worse = (after < 0.9).sum(), (after > 1.1).sum()
            # and the sum over the batch must not happen to say the same of all
            if better >= 1 and worse >= 1 and better + worse == len(bases):
                return extractor.argument, bases, targets, float(step)


def _resnet_batch(rng: np.random.Generator) -> tuple[FeaturesArgument, np.ndarray, np.ndarray, float]:
    """A tiny ResNet-18 with statistics of its own, small images, and features of other images as targets."""
    width = 2
    model = ResNet18(width=width).eval()
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    initialise(model, generator)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.copy_(0.2 * torch.randn(module.num_features, generator=generator))  # type: ignore[union-attr]
                module.running_var.copy_(0.1 + torch.rand(module.num_features, generator=generator))  # type: ignore[union-attr]
        images = rng.uniform(0, 1, (6, 3, 8, 8)).astype(np.float32)
        targets = model.features(torch.from_numpy(images[3:])).numpy()
    state = {n: v.contiguous().numpy() for n, v in model.state_dict().items() if v.is_floating_point()}
    argument = FeaturesArgument("resnet18", state, {"width": width})
    return argument, images[:3], targets, 0.01


@_check
def craft_poisons__holds_budget(run: PartRun, rng: np.random.Generator) -> Values:
    beta = 0.05
    for epsilon, low, high in ((0.06, 0.35, 0.65), (0.03, 0.0, 1.0), (None, 0.0, 1.0)):
        problem = LoopProblem.draw(rng, reach=0.5, low=low, high=high)
        found = problem.craft(run, 0.9 * problem.extractor.safe_step, beta, 200, epsilon)
        linf = float(np.abs(found - problem.bases).max())
        if epsilon is not None and not linf <= epsilon + ROUNDING:
            raise Finding("over_budget", linf=linf, epsilon=epsilon)
        if not bool(((found >= -ROUNDING) & (found <= 1 + ROUNDING)).all()):
            raise Finding("out_of_range", low=float(found.min()), high=float(found.max()))
        missing = problem.missing(found, beta, epsilon)
        if not missing <= HELD_MISSES:
            raise Finding("not_the_best", share=1 - missing)
    return None


@_check
def craft_poisons__leaves_inputs_alone(run: PartRun, rng: np.random.Generator) -> Values:
    problem = LoopProblem.draw(rng, reach=0.1)
    for iterations, epsilon in ((0, None), (5, 0.05)):
        done = run.student.call(
            "craft_poisons", problem.extractor.argument, TensorArgument(problem.bases),
            TensorArgument(problem.targets), 0.9 * problem.extractor.safe_step, 0.5, iterations, epsilon,
        )  # fmt: skip
        found = done.tensor(problem.bases.shape)
        _require_untouched(done, {1: ("bases", problem.bases), 2: ("target_features", problem.targets)})
        if iterations == 0 and not close(found, problem.bases):
            raise Finding("moved_without_steps")
    return None


CHECKS: dict[str, CheckFunction] = STEP_CHECKS
