"""The contract with students: every part, function, check, point and dependency, in one table.

Everything else reads this table: the grader runs these checks, pytest makes one test of each, the handout and the
exports print these points, and the stubs in ``assignment/`` have these signatures. A check's id is
``part.function.property`` or ``part.outcome.property``. Points are integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

OUTCOME = "outcome"


@dataclass(frozen=True)
class Check:
    """One graded property.

    Attributes:
        id: ``part.function.property``; the key of its texts in ``messages/``.
        points: what it is worth, a whole number.
        requires: ids of the checks that must have passed before this one can say anything; if one of them
            did not pass, this check is skipped with the reason ``dependency_failed``.
    """

    id: str
    points: int
    requires: tuple[str, ...] = ()

    @property
    def part(self) -> str:
        return self.id.split(".")[0]

    @property
    def function(self) -> str:
        """The function that it looks at, or ``"outcome"``."""
        return self.id.split(".")[1]

    @property
    def is_outcome(self) -> bool:
        """True where the check needs the whole experiment (training) and not single calls."""
        return self.function == OUTCOME


@dataclass(frozen=True)
class Function:
    """One function that the student writes: its name and its positional parameters, in order."""

    name: str
    parameters: tuple[str, ...]


@dataclass(frozen=True)
class Part:
    """One file of the assignment.

    Attributes:
        name: also the file's stem.
        core: its points make the score; the points of the other parts are a bonus beside it.
        functions: what the file must define, in the order of the handout.
        checks: in the order in which they are reported; a check comes after what it requires.
    """

    name: str
    core: bool
    functions: tuple[Function, ...]
    checks: tuple[Check, ...]

    @property
    def filename(self) -> str:
        return f"{self.name}.py"

    @property
    def points(self) -> int:
        return sum(check.points for check in self.checks)

    def function(self, name: str) -> Function:
        for function in self.functions:
            if function.name == name:
                return function
        raise KeyError(f"part {self.name} has no function {name}")


def _part(
    name: str,
    functions: tuple[Function, ...],
    rows: tuple[tuple[str, int, tuple[str, ...]], ...],
    *,
    core: bool = False,
) -> Part:
    """Build a part from rows of (function.property, points, required function.property)."""
    checks = tuple(
        Check(f"{name}.{row}", points, tuple(f"{name}.{required}" for required in requires))
        for row, points, requires in rows
    )
    return Part(name, core, functions, checks)


# What poison_step can only be judged on when the trigger itself works in the open interval: a missing clamp in
# apply_trigger must not drag poison_step down, so its checks use inputs where nothing is clipped.
_TRIGGER_WORKS = (
    "apply_trigger.adds_delta",
    "apply_trigger.leaves_inputs_alone",
    "apply_trigger.is_differentiable",
)
# Everything that the training loop of part 1 relies on. `poison_step.returns_loss` is not among it: the loop only
# logs it.
_ATTACK_WORKS = (
    *_TRIGGER_WORKS,
    "apply_trigger.clamps_to_pixel_range",
    "poison_step.model_gradients",
    "poison_step.delta_gradient",
    "poison_step.honours_target",
    "poison_step.clears_model_gradients",
    "poison_step.clears_delta_gradient",
    "poison_step.steps_nothing",
    "delta_step.takes_optimizer_step",
    "delta_step.projects_onto_ball",
    "delta_step.keeps_leaf",
    "delta_step.honours_epsilon",
)
_STEP = "delta_step.takes_optimizer_step"

INVISIBLE_TRIGGER = _part(
    "invisible_trigger",
    (
        Function("apply_trigger", ("x", "delta")),
        Function("poison_step", ("model", "delta", "x", "y", "target")),
        Function("delta_step", ("delta", "delta_optimizer", "epsilon")),
        Function("attack_success_rate", ("predictions", "y", "target")),
    ),
    (
        ("apply_trigger.adds_delta", 3, ()),
        ("apply_trigger.clamps_to_pixel_range", 3, ("apply_trigger.adds_delta",)),
        ("apply_trigger.leaves_inputs_alone", 2, ()),
        ("apply_trigger.is_differentiable", 2, ("apply_trigger.adds_delta",)),
        ("poison_step.returns_loss", 3, _TRIGGER_WORKS[:2]),
        ("poison_step.model_gradients", 7, _TRIGGER_WORKS[:2]),
        ("poison_step.delta_gradient", 5, _TRIGGER_WORKS),
        ("poison_step.clears_model_gradients", 3, ("poison_step.model_gradients",)),
        ("poison_step.clears_delta_gradient", 2, ("poison_step.delta_gradient",)),
        ("poison_step.honours_target", 3, ("poison_step.model_gradients", "poison_step.delta_gradient")),
        ("poison_step.steps_nothing", 2, _TRIGGER_WORKS[:2]),
        ("delta_step.takes_optimizer_step", 7, ()),
        ("delta_step.projects_onto_ball", 7, (_STEP,)),
        ("delta_step.keeps_leaf", 3, ()),
        ("delta_step.honours_epsilon", 3, (_STEP, "delta_step.projects_onto_ball")),
        ("attack_success_rate.excludes_target_class", 3, ()),
        ("attack_success_rate.returns_share", 2, ()),
        ("outcome.asr", 15, _ATTACK_WORKS),
        ("outcome.acc", 15, ("outcome.asr",)),  # a clean model has its ACC for nothing
        ("outcome.bound", 10, ("outcome.asr", "outcome.acc")),  # and delta = 0 is within every bound
    ),
    core=True,
)

# The loop calls the two steps. A missing clip or a graph left behind does not keep it from working where nothing is to
# be clipped, so these two faults cost only their own points.
_STEPS_WORK = (
    "forward_step.takes_gradient_step",
    "forward_step.each_image_alone",
    "forward_step.leaves_inputs_alone",
    "backward_step.moves_towards_base",
    "backward_step.leaves_inputs_alone",
)
_CONVERGES = "craft_poisons.converges"
_POISONING_WORKS = (
    *_STEPS_WORK,
    "backward_step.clips_to_pixel_range",
    "choose_bases.finds_nearest",
    "choose_bases.takes_distinct",
    _CONVERGES,
    "craft_poisons.undoes_rejected_steps",
    "craft_poisons.each_image_alone",
    "craft_poisons.holds_budget",
)

CLEAN_LABEL = _part(
    "clean_label",
    (
        Function("forward_step", ("features", "poison", "target_features", "step_size")),
        Function("backward_step", ("forward", "base", "step_size", "beta")),
        Function("choose_bases", ("candidate_features", "target_features", "count")),
        Function(
            "craft_poisons",
            ("features", "bases", "target_features", "step_size", "beta", "iterations", "epsilon"),
        ),
    ),
    (
        ("forward_step.takes_gradient_step", 3, ()),
        ("forward_step.each_image_alone", 1, ("forward_step.takes_gradient_step",)),
        ("forward_step.leaves_inputs_alone", 1, ()),
        ("forward_step.returns_no_graph", 1, ()),
        ("backward_step.moves_towards_base", 2, ()),
        ("backward_step.clips_to_pixel_range", 1, ("backward_step.moves_towards_base",)),
        ("backward_step.leaves_inputs_alone", 1, ()),
        ("choose_bases.finds_nearest", 2, ()),
        ("choose_bases.takes_distinct", 1, ("choose_bases.finds_nearest",)),
        ("craft_poisons.converges", 2, _STEPS_WORK),
        ("craft_poisons.undoes_rejected_steps", 2, (*_STEPS_WORK, _CONVERGES)),
        ("craft_poisons.each_image_alone", 1, (*_STEPS_WORK, _CONVERGES)),
        ("craft_poisons.holds_budget", 1, (*_STEPS_WORK, "backward_step.clips_to_pixel_range", _CONVERGES)),
        ("craft_poisons.leaves_inputs_alone", 1, _STEPS_WORK),
        ("outcome.turned", 5, _POISONING_WORKS),
        ("outcome.acc", 3, ("outcome.turned",)),  # unchanged bases cost no accuracy
        ("outcome.budget", 2, ("outcome.turned", "outcome.acc")),  # and hold every budget
        # more evidence, never another total: where CIFAR-10 and the ResNet-18 are not, these are skipped
        ("outcome.cifar10_turned", 0, ("outcome.turned",)),
        ("outcome.cifar10_acc", 0, ("outcome.turned",)),
        ("outcome.cifar10_budget", 0, ("outcome.turned",)),
    ),
)

FINE_PRUNING = _part(
    "fine_pruning",
    (
        Function("rank_neurons", ("incoming", "activations", "rule")),
        Function("prune_and_compress", ("w_in", "b_in", "w_out", "neurons")),
    ),
    (
        ("rank_neurons.largest_weight", 1, ()),
        ("rank_neurons.dormant", 1, ()),
        ("rank_neurons.names_each_once", 1, ()),
        ("rank_neurons.rejects_other_rules", 1, ()),
        ("prune_and_compress.really_smaller", 1, ()),
        ("prune_and_compress.same_outputs", 2, ("prune_and_compress.really_smaller",)),
        ("prune_and_compress.leaves_one", 1, ("prune_and_compress.really_smaller",)),
        ("outcome.asr", 1, (
            "rank_neurons.dormant", "rank_neurons.names_each_once", "prune_and_compress.same_outputs",
        )),
        ("outcome.acc", 1, ("outcome.asr",)),  # who prunes nothing keeps the ACC
    ),
)  # fmt: skip

ACTIVATION_CLUSTERING = _part(
    "activation_clustering",
    (
        Function("cluster_class", ("features", "seed")),
        Function("flag_poisoned", ("features", "labels", "seed")),
        Function("scramble_labels", ("labels", "flagged", "num_classes", "seed")),
    ),
    (
        ("cluster_class.separates_groups", 1, ()),
        ("cluster_class.repeats_itself", 1, ()),
        ("flag_poisoned.finds_poison", 2, ()),
        ("flag_poisoned.spares_clean_classes", 1, ()),
        ("scramble_labels.relabels_flagged", 1, ()),
        ("scramble_labels.spreads_labels", 1, ("scramble_labels.relabels_flagged",)),
        ("outcome.f1", 1, ("flag_poisoned.finds_poison", "flag_poisoned.spares_clean_classes")),
        ("outcome.asr", 1, ("scramble_labels.relabels_flagged", "outcome.f1")),
        ("outcome.acc", 1, ("outcome.asr",)),  # who relabels nothing keeps the ACC
    ),
)

PARTS: tuple[Part, ...] = (INVISIBLE_TRIGGER, CLEAN_LABEL, FINE_PRUNING, ACTIVATION_CLUSTERING)


@cache
def part(name: str) -> Part:
    """The part of that name.

    Raises:
        KeyError: no part is called so; the message lists those that are.
    """
    for candidate in PARTS:
        if candidate.name == name:
            return candidate
    raise KeyError(f"no part is called {name!r}; the parts are {', '.join(p.name for p in PARTS)}")


@cache
def check(check_id: str) -> Check:
    """The check of that id (``KeyError`` where there is none)."""
    for candidate in part(check_id.split(".")[0]).checks:
        if candidate.id == check_id:
            return candidate
    raise KeyError(f"no check is called {check_id!r}")


def max_score() -> int:
    """Points of the core parts: the score is out of this."""
    return sum(p.points for p in PARTS if p.core)


def max_bonus() -> int:
    """Points of the bonus parts, counted beside the score."""
    return sum(p.points for p in PARTS if not p.core)
